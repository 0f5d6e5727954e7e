"""Products and eigenvalues of matrices on the CPU by NumPy's BLAS and LAPACK, whose threads the stages set.

They see that X^T X is symmetric, which halves the work, and they know the vector extensions of every processor: torch's
own library reaches about two thirds of their rate on AMD's (docs/speed.md). Tensors share their memory with arrays.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def gram(x: Tensor) -> Tensor:
    """X^T X (d, d) of X (n, d), exactly symmetric."""
    rows = x.numpy()
    return torch.from_numpy(rows.T @ rows)


def inner_products(a: Tensor, b: Tensor) -> Tensor:
    """A B^T (n, m) of A (n, d) and B (m, d)."""
    return torch.from_numpy(a.numpy() @ b.numpy().T)


def eigenvalues(symmetric: Tensor) -> Tensor:
    """Of a symmetric matrix (d, d), ascending, (d,)."""
    return torch.from_numpy(np.linalg.eigvalsh(symmetric.numpy()))


def eigenvectors(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (d,), ascending, and eigenvectors (d, d), a column each, of a symmetric matrix (d, d)."""
    values, vectors = np.linalg.eigh(symmetric.numpy())
    return torch.from_numpy(values), torch.from_numpy(vectors)
