"""Easel: trains, samples, measures and battles image generators, above all those that draw step by step."""
