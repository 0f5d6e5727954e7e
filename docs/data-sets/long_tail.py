"""Write class folders of a balanced array of images with fewer and fewer images of each class to train on.

The sizes fall exponentially from class to class, as in Cui et al. 2019 (arXiv:1901.05555); the test set stays balanced.

    .venv/bin/python docs/data-sets/long_tail.py telugu_hpl.npz scans/hpl
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

LARGEST, SMALLEST, TEST = 200, 8, 35
"""Images of the commonest and of the rarest class to train on, and of every class to test on."""

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("arrays", type=Path, help="an .npz with `images` (n, height, width) uint8 and `labels` (n,)")
parser.add_argument("folder", type=Path, help="where train/CLASS/ and test/CLASS/ are made")
arguments = parser.parse_args()
arrays = np.load(arguments.arrays)
images, labels = arrays["images"], arrays["labels"]
draw = np.random.default_rng(0)
classes = draw.permutation(np.unique(labels))
sizes = np.geomspace(LARGEST, SMALLEST, len(classes)).round().astype(int)
for label, size in zip(classes, sizes, strict=True):
    rows = draw.permutation(np.flatnonzero(labels == label))
    for split, chosen in (("test", rows[:TEST]), ("train", rows[TEST : TEST + size])):
        place = arguments.folder / split / f"{label:03d}"
        place.mkdir(parents=True)
        for row in chosen:
            Image.fromarray(images[row]).save(place / f"{row:05d}.png")
