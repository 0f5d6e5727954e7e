"""Battles between discriminators and generators: verdicts, the judges' table and the standings (Im et al. 2016 section
4).
"""
