"""Edge-aware smoothing as one sparse linear system per plane.

    minimise Σ (u − target)² + Σ wx·(∂u/∂x)² + Σ wy·(∂u/∂y)²

A direct sparse solver takes seconds on a photograph. Here: conjugate gradients, preconditioned by
one V-cycle over grids in which 2×2 pixels join into one. Joining pixels keeps the form of the
system (links between two blocks add up), so that one class describes every level.
"""

from __future__ import annotations

from collections.abc import Callable
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
    goal = target.astype(np.float64)
    links_x, links_y = wx[:, :-1].astype(np.float64), wy[:-1].astype(np.float64)
    finest = _Level.of(np.ones_like(goal), links_x, links_y)
    precondition = _v_cycle(finest)
    u = goal.copy()
    residual = goal - finest.apply(u)
    direction = np.zeros_like(u)
    old = 1.0
    for _ in range(_MOST):
        correction = precondition(residual)
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
    """One grid: data weights, links to the right and down, and the system's diagonal.

    easing: the smoother's factor, damped and over the diagonal.
    """

    data: Array
    wx: Array
    wy: Array
    diagonal: Array
    easing: Array

    @classmethod
    def of(cls, data: Array, wx: Array, wy: Array) -> _Level:
        diagonal = data.copy()
        diagonal[:, :-1] += wx
        diagonal[:, 1:] += wx
        diagonal[:-1] += wy
        diagonal[1:] += wy
        return cls(data, wx, wy, diagonal, _JACOBI / diagonal)

    def apply(self, u: Array) -> Array:
        result: Array = self.diagonal * u
        result[:, :-1] -= self.wx * u[:, 1:]
        result[:, 1:] -= self.wx * u[:, :-1]
        result[:-1] -= self.wy * u[1:]
        result[1:] -= self.wy * u[:-1]
        return result

    def joined(self) -> _Level:
        data = _pairs(_pairs(self.data).T).T
        # Links inside a block vanish; those from block to block add up along its side.
        return _Level.of(data, _pairs(self.wx[:, 1::2]), _pairs(self.wy[1::2].T).T)

    def inverse(self) -> Array:
        unit = np.eye(self.data.size).reshape(-1, *self.data.shape)
        matrix = np.stack([self.apply(e).ravel() for e in unit])
        return np.linalg.inv(matrix).astype(np.float64)


def _pairs(x: Array) -> Array:
    """Sums of rows 0 and 1, 2 and 3, …; an odd last row stays alone."""
    total = x[::2].copy()
    total[: len(x) // 2] += x[1::2]
    return total


def _v_cycle(finest: _Level) -> Callable[[Array], Array]:
    """The preconditioner: smooth, correct from the next grid, smooth; the last grid exactly."""
    levels = [finest]
    while levels[-1].data.size > _SMALLEST:
        levels.append(levels[-1].joined())
    coarsest = levels.pop().inverse()

    def cycle(residual: Array, at: int = 0) -> Array:
        if at == len(levels):
            exact: Array = (coarsest @ residual.ravel()).reshape(residual.shape)
            return exact
        level = levels[at]
        u = level.easing * residual
        coarse = cycle(_pairs(_pairs(residual - level.apply(u)).T).T, at + 1)
        height, width = residual.shape
        u += coarse.repeat(2, 0)[:height].repeat(2, 1)[:, :width]
        u += level.easing * (residual - level.apply(u))
        return u

    return cycle
