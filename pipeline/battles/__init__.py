"""Battles between discriminators and generators: verdicts, the judges' table and the standings (001 section 4)."""
