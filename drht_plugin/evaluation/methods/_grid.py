"""Gradients on the pixel grid, and a solver for linear systems of them.

Borders are free (Neumann conditions): no difference is taken across them. The cosine transform
diagonalises such systems, as the Fourier transform does periodic ones, so that opposite sides of a
picture do not influence each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.optional import import_optional

Array = NDArray[np.float32]


def gradient(u: Array) -> tuple[Array, Array]:
    """Return forward differences.

    Args:
        u: H×W.

    Returns:
        H×W differences along x (0 in the last column) and along y (0 in the last row).
    """
    dx, dy = np.zeros_like(u), np.zeros_like(u)
    np.subtract(u[:, 1:], u[:, :-1], out=dx[:, :-1])
    np.subtract(u[1:], u[:-1], out=dy[:-1])
    return dx, dy


def adjoint(dx: Array, dy: Array) -> Array:
    """Apply the transpose of `gradient`.

    The inner product of gradient(u) and d equals that of u and the transpose applied to d.

    Args:
        dx: H×W.
        dy: H×W.

    Returns:
        H×W.
    """
    u = np.zeros_like(dx)
    u[:, :-1] -= dx[:, :-1]
    u[:, 1:] += dx[:, :-1]
    u[:-1] -= dy[:-1]
    u[1:] += dy[:-1]
    return u


def screened_poisson(shape: tuple[int, ...]) -> Callable[[Array, float], Array]:
    """Return a solver of (1 + weight · adjoint∘gradient) u = target.

    Args:
        shape: height and width of the planes.

    Returns:
        Function from target (H×W, may be overwritten) and weight to u.

    Raises:
        DependencyError: scipy is not installed.
    """
    fft = import_optional("scipy.fft")
    height, width = shape
    x = 2 - 2 * np.cos(np.pi * np.arange(width) / width)
    y = 2 - 2 * np.cos(np.pi * np.arange(height) / height)
    eigenvalues = (y[:, None] + x[None, :]).astype(np.float32)

    def solve(target: Array, weight: float) -> Array:
        spectrum = fft.dctn(target, norm="ortho", overwrite_x=True)
        spectrum /= 1 + np.float32(weight) * eigenvalues
        result: Array = fft.idctn(spectrum, norm="ortho", overwrite_x=True)
        return result

    return solve
