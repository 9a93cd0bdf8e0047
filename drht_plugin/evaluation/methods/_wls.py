"""Edge-aware smoothing as one sparse linear system per plane.

    minimise Σ (u − target)² + Σ wx·(∂u/∂x)² + Σ wy·(∂u/∂y)²

A direct sparse solver takes seconds on a photograph. Here: conjugate gradients, preconditioned by
one V-cycle over grids in which 2×2 pixels join into one. Joining pixels keeps the form of the
system (links between two blocks add up), so that one class describes every level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.methods._entry import Plane
from drht_plugin.evaluation.methods._grid import gradient

Array = NDArray[np.float64]

_JACOBI = 0.8
"""Damping of the smoother."""

_MOST = 80
"""Iterations: what is left then, where weights span six orders of magnitude, is below 1/255."""

_SMALLEST = 64
"""Unknowns from which down a level is solved directly."""


def base(plane: Plane, strength: float = 1.0, alpha: float = 1.2) -> Plane:
    """The base layer of a plane of 0..1 (Farbman, Fattal, Lischinski, Szeliski 2008).

    Links weigh strength / (|∂ log|^alpha + 1e-4), as in the paper.
    """
    dx, dy = gradient(np.log(plane + np.float32(1 / 255)))
    wx, wy = (np.float32(strength) / (np.abs(d) ** np.float32(alpha) + 1e-4) for d in (dx, dy))
    return smooth(plane, wx, wy)


def smooth(target: Plane, wx: Plane, wy: Plane, tolerance: float = 5e-6) -> Plane:
    """The minimiser for H×W weights ≥ 0; wx at (i, j) links (i, j) with (i, j+1), wy with (i+1, j).

    The last column of wx and the last row of wy, which link to nothing, are ignored.
    tolerance: root mean square of the preconditioner's guess at the error, which is a hundredth
    of the error or so.
    """
    levels = _levels(target.shape, wx, wy)
    finest, goal = levels[0], target.astype(np.float64)
    u = goal.copy()
    residual = goal - finest.apply(u)
    direction = np.zeros_like(u)
    old = 1.0
    for _ in range(_MOST):
        correction = _cycle(levels, 0, residual)
        if float(np.sqrt(np.square(correction).mean())) <= tolerance:
            break
        new = float((residual * correction).sum())
        direction = correction + (new / old) * direction
        image = finest.apply(direction)
        length = new / float((direction * image).sum())
        u += length * direction
        residual -= length * image
        old = new
    return u.astype(np.float32)


@dataclass(frozen=True)
class _Level:
    """One grid: data weights, links to the right and down, and the system's diagonal."""

    data: Array
    wx: Array
    wy: Array
    diagonal: Array

    @classmethod
    def of(cls, data: Array, wx: Array, wy: Array) -> _Level:
        diagonal = data.copy()
        diagonal[:, :-1] += wx
        diagonal[:, 1:] += wx
        diagonal[:-1] += wy
        diagonal[1:] += wy
        return cls(data, wx, wy, diagonal)

    def apply(self, u: Array) -> Array:
        result: Array = self.diagonal * u
        result[:, :-1] -= self.wx * u[:, 1:]
        result[:, 1:] -= self.wx * u[:, :-1]
        result[:-1] -= self.wy * u[1:]
        result[1:] -= self.wy * u[:-1]
        return result

    def joined(self) -> _Level:
        return _Level.of(
            _blocks(self.data),
            _blocks(self.wx[:, 1::2], columns=1),
            _blocks(self.wy[1::2], rows=1),
        )


def _levels(shape: tuple[int, ...], wx: Plane, wy: Plane) -> list[_Level]:
    levels = [_Level.of(np.ones(shape), wx[:, :-1].astype(np.float64), wy[:-1].astype(np.float64))]
    while levels[-1].data.size > _SMALLEST:
        levels.append(levels[-1].joined())
    return levels


def _blocks(x: Array, rows: int = 2, columns: int = 2) -> Array:
    """Sums over blocks of rows × columns; the last block may be cut off."""
    x = np.pad(x, ((0, -x.shape[0] % rows), (0, -x.shape[1] % columns)))
    height, width = x.shape
    total: Array = x.reshape(height // rows, rows, width // columns, columns).sum((1, 3))
    return total


def _cycle(levels: list[_Level], at: int, residual: Array) -> Array:
    level = levels[at]
    if at == len(levels) - 1:
        return _direct(level, residual)
    u = _JACOBI * residual / level.diagonal
    coarse = _cycle(levels, at + 1, _blocks(residual - level.apply(u)))
    height, width = residual.shape
    u += coarse.repeat(2, 0)[:height].repeat(2, 1)[:, :width]
    u += _JACOBI * (residual - level.apply(u)) / level.diagonal
    return u


def _direct(level: _Level, residual: Array) -> Array:
    unit = np.eye(residual.size).reshape(-1, *residual.shape)
    matrix = np.stack([level.apply(e).ravel() for e in unit])
    solution = np.linalg.solve(matrix, residual.reshape(-1, 1)).astype(np.float64)
    return solution.reshape(residual.shape)
