"""The kinds of numbers that a model's constructor takes, with their bounds.

A model annotates its keyword-only arguments with these; params.yaml is checked against them before any job
starts, by reading the annotation's name, so that no model (and no torch) has to be imported for it.
"""

from __future__ import annotations

from typing import Annotated

Shape = tuple[int, int, int]
"""(channels, height, width) of one image."""

Count = Annotated[int, {"ge": 1}]
"""A whole number, at least 1: sizes, steps, layers."""

Rate = Annotated[float, {"gt": 0.0, "allow_inf_nan": False}]
"""A positive number: learning rates, standard deviations."""

Weight = Annotated[float, {"ge": 0.0, "allow_inf_nan": False}]
"""A number, at least 0: loss weights, weight decay, clipping norms (0 switches them off)."""

Fraction = Annotated[float, {"ge": 0.0, "le": 1.0}]
"""A number from 0 to 1: dropout, momentum, Adam's betas."""

Number = Annotated[float, {"allow_inf_nan": False}]
"""Any finite number: initial biases and the like."""
