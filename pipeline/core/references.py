"""The rows of a table that no model made."""

from __future__ import annotations

REFERENCES = ("real", "noise", "mean_image", "copies", "duplicates", "half_the_classes", "other_fonts")
"""What a perfect model would get, what noise gets, what a blur gets, and real images with known faults."""
