"""The 325 classes of `telugu_print`: what is written, what each is called, and how common it is taken to be.

A class is one written syllable (akshara): an independent vowel, a consonant, a consonant with a vowel sign or with
the virama, or a conjunct of consonants. How common each is follows from the order of the lists below, which is our
own judgement of running Telugu text and no count of a corpus; it decides only which class is how large.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNT", "TeluguClass", "class_sizes", "telugu_classes"]

COUNT = 325
"""Classes, as many as OCR-Telugu has (Renkila et al. section V.B)."""

VIRAMA = "\N{TELUGU SIGN VIRAMA}"

VOWELS = "అ ఇ ఆ ఈ ఎ ఉ ఏ ఒ అం ఐ ఓ ఊ ఔ ఋ అః"
CONSONANTS = "న ర ల క త వ మ ప ద స య డ గ చ ట బ జ ళ శ ధ హ ణ భ ష ఖ థ ఫ ఠ ఱ ఛ ఘ ఢ ఝ ఞ ఙ"
SIGNS = ("", "I", "AA", "U", "E", "EE", "OO", "AI", "II", "VIRAMA", "UU", "O", "VOCALIC R", "AU")
"""Vowel signs by the end of their Unicode names, the consonant alone (its vowel a) first."""
CONJUNCTS = (
    "ల్ల న్న త్త క్క ప్ర మ్మ ద్ద చ్చ ట్ట న్ని ప్ప స్త త్ర క్ష య్య ల్లి డ్డ గ్గ ట్టి ప్రా త్తు ద్ధ "
    "జ్ఞ స్ట్ర శ్ర స్య న్నా త్య వ్య ర్థ ర్మ ర్వ ళ్ళ ళ్ళు స్త్ర స్త్రీ క్షి క్ర గ్ర బ్ర ద్ర శ్రీ స్వా "
    "స్థ ష్ట ష్ట్ర ష్ణ త్వ ద్య న్య ధ్య ర్గ ర్ణ ర్త ర్య వ్వ స్స జ్జ బ్బ ర్ర క్తి ల్య శ్వ శ్చ త్మ క్త "
    "హ్మ ష్ఠ భ్ర ర్ధ ఖ్య ద్వ గ్ని స్మ స్క జ్వ వ్ర మ్ర ధ్ర క్ష్మి హ్న ర్ష త్స్య"
)


@dataclass(frozen=True)
class TeluguClass:
    """What is written, and a name in Latin letters (`k-ssa` for క్ష), which any font can label a figure with."""

    text: str
    name: str


def telugu_classes() -> tuple[TeluguClass, ...]:
    """The classes from the commonest to the rarest.

    All vowels, consonants and conjuncts of the lists, and as many consonants with signs, the commonest, as fill 325.
    """
    common: dict[str, float] = {}
    for rank, text in enumerate(VOWELS.split()):
        common[text] = 0.02 / (rank + 2)
    for rank, text in enumerate(CONJUNCTS.split()):
        common[text] = 0.05 / (rank + 6)
    signed: dict[str, float] = {}
    for row, consonant in enumerate(CONSONANTS.split()):
        for column, sign in enumerate(SIGNS):
            group = signed if sign else common
            group[consonant + _sign(sign)] = 1.0 / ((row + 6) ** 1.5 * (column + 1.5))
    room = COUNT - len(common)
    common |= dict(sorted(signed.items(), key=lambda item: -item[1])[:room])
    return tuple(TeluguClass(text, latin_name(text)) for text in sorted(common, key=lambda text: -common[text]))


def _sign(name: str) -> str:
    if not name:
        return ""
    return VIRAMA if name == "VIRAMA" else unicodedata.lookup(f"TELUGU VOWEL SIGN {name}")


def latin_name(text: str) -> str:
    """A name from the Unicode names of the characters: `ka`, `kii`, `k` (with the virama), `s-t-rii`."""
    name = ""
    for character in text:
        kind, _, letter = unicodedata.name(character).removeprefix("TELUGU ").rpartition(" ")
        letter = letter.lower()
        if character == VIRAMA:
            name = name[:-1] + "-"
        elif kind.startswith("VOWEL SIGN"):
            name = name[:-1] + _vocalic(kind, letter)
        elif kind.startswith("SIGN"):
            name += {"anusvara": "m", "visarga": "h"}[letter]
        else:
            name += _vocalic(kind, letter)
    return name.rstrip("-")


def _vocalic(kind: str, letter: str) -> str:
    return f"v{letter}" if kind.endswith("VOCALIC") else letter


def class_sizes(total: int, classes: int, *, largest: int, smallest: int) -> NDArray[np.int64]:
    """Sizes (classes,) that fall from `largest` to `smallest` and sum to `total`: head, middle, and a long tail.

    Zipf's law as Mandelbrot has it, largest * (b / (b + rank))^s: b makes the last class `smallest`, s the sum right.
    Raises ValueError where no s from 1.05 to 50 does.
    """
    ranks = np.arange(classes)

    def at(exponent: float) -> NDArray[np.float64]:
        ratio = (smallest / largest) ** (1.0 / exponent)
        offset = (classes - 1) * ratio / (1.0 - ratio)
        return np.asarray(largest * (offset / (offset + ranks)) ** exponent)

    low, high = 1.05, 50.0
    if not at(low).sum() <= total <= at(high).sum():
        raise ValueError(f"{classes} classes of {smallest} to {largest} images cannot have {total} together")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle).sum() < total else (low, middle)
    sizes = np.floor(at(low)).astype(np.int64)
    sizes[0], sizes[-1] = largest, smallest
    inner = np.arange(1, classes - 1)
    for k in range(int(total - sizes.sum())):
        sizes[inner[k % len(inner)]] += 1
    return sizes
