"""Differences on the pixel grid, and the linear systems of constant coefficients that they make.

Borders are free (Neumann): no difference is taken across them. The cosine transform diagonalises
these systems as the Fourier transform does periodic ones, without a picture's left side bleeding
into its right.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.optional import need

Array = NDArray[np.float32]


def gradient(u: Array) -> tuple[Array, Array]:
    """Forward differences of H×W along x and y; 0 at the last column and row."""
    dx, dy = np.zeros_like(u), np.zeros_like(u)
    np.subtract(u[:, 1:], u[:, :-1], out=dx[:, :-1])
    np.subtract(u[1:], u[:-1], out=dy[:-1])
    return dx, dy


def adjoint(dx: Array, dy: Array) -> Array:
    """Transpose of `gradient`: the sum of gradient(u)·d is that of u·adjoint(d)."""
    u = np.zeros_like(dx)
    u[:, :-1] -= dx[:, :-1]
    u[:, 1:] += dx[:, :-1]
    u[:-1] -= dy[:-1]
    u[1:] += dy[:-1]
    return u


def screened_poisson(shape: tuple[int, ...]) -> Callable[[Array, float], Array]:
    """The solver of (1 + weight·adjoint∘gradient) u = target for planes of one shape."""
    fft = need("scipy.fft")
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
