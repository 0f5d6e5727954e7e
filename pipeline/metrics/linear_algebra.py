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


def square_root(covariance: Tensor) -> Tensor:
    """L (d, r) with L L^T = C of a positive semidefinite C (d, d) in float64 of rank r, singular or not.

    A Cholesky factor whose next column is always that of the largest variance left; it ends where what is left is
    rounding, d eps of the largest. An order of magnitude faster than eigenvectors, of which the small ones are noise.
    """
    from scipy.linalg import lapack

    factor, order, rank, _ = lapack.dpstrf(covariance.numpy(), tol=-1.0, lower=1)  # LAPACK's own bound of rounding
    root = np.zeros((len(factor), rank))
    root[order - 1] = np.tril(factor)[:, :rank]
    return torch.from_numpy(root)
