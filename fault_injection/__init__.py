"""Faults of every kind, put into real runs of the workflow: `make chaos`, for developers and reviewers.

Each campaign (a module with a `campaign` function) breaks something in copies of the project at the tiny budget, and
compares what the same commands make after it with an undisturbed run, byte for byte.
"""
