"""Edge-aware smoothing as one sparse linear system per plane.

    minimise Σ (u − target)² + Σ wx·(∂u/∂x)² + Σ wy·(∂u/∂y)²

A direct sparse solver takes seconds for a photograph. This one uses conjugate gradients,
preconditioned by one V-cycle over grids in which 2×2 pixels are merged into one. Merging keeps the
form of the system (links between two blocks add up), so that one class describes every level.
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
"""Largest number of iterations; even with weights across six orders of magnitude, the remaining
error is below 1/255."""

_SMALLEST = 64
"""Number of unknowns at or below which a level is solved directly."""


def base(plane: Plane, strength: float = 1.0, alpha: float = 1.2) -> Plane:
    """Return the base layer of a plane (Farbman, Fattal, Lischinski, Szeliski 2008).

    The weight of a link is strength / (|∂ log plane|^alpha + 1e-4), as in the paper.

    Args:
        plane: H×W in 0..1.
        strength: amount of smoothing (the paper's λ).
        alpha: sensitivity to gradients.

    Returns:
        H×W.
    """
    dx, dy = gradient(np.log(plane + np.float32(1 / 255)))
    wx, wy = (np.float32(strength) / (np.abs(d) ** np.float32(alpha) + 1e-4) for d in (dx, dy))
    return smooth(plane, wx, wy)


def smooth(target: Plane, wx: Plane, wy: Plane, tolerance: float = 5e-6) -> Plane:
    """Minimise the energy of the module's docstring.

    Args:
        target: H×W.
        wx: H×W weights ≥ 0 of the links from (i, j) to (i, j+1); the last column is ignored.
        wy: H×W weights ≥ 0 of the links from (i, j) to (i+1, j); the last row is ignored.
        tolerance: stop when the preconditioner's estimate of the error has this root mean square;
            the estimate is about a hundredth of the error.

    Returns:
        H×W float32.
    """
    goal = target.astype(np.float64)
    links_x, links_y = wx[:, :-1].astype(np.float64), wy[:-1].astype(np.float64)
    finest = _Level.build(np.ones_like(goal), links_x, links_y)
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
    """The linear system on one grid.

    Attributes:
        data: weights of the data term.
        wx: weights of the links to the right.
        wy: weights of the links down.
        diagonal: diagonal of the system.
        damped_inverse: damping over the diagonal, the factor of the Jacobi smoother.
    """

    data: Array
    wx: Array
    wy: Array
    diagonal: Array
    damped_inverse: Array

    @classmethod
    def build(cls, data: Array, wx: Array, wy: Array) -> _Level:
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

    def coarsen(self) -> _Level:
        data = _pairs(_pairs(self.data).T).T
        # Links within a block vanish; those between two blocks add up.
        return _Level.build(data, _pairs(self.wx[:, 1::2]), _pairs(self.wy[1::2].T).T)

    def inverse(self) -> Array:
        unit = np.eye(self.data.size).reshape(-1, *self.data.shape)
        matrix = np.stack([self.apply(e).ravel() for e in unit])
        return np.linalg.inv(matrix).astype(np.float64)


def _pairs(x: Array) -> Array:
    """Sum rows 0 and 1, 2 and 3, …; an odd last row stays as it is."""
    total = x[::2].copy()
    total[: len(x) // 2] += x[1::2]
    return total


def _v_cycle(finest: _Level) -> Callable[[Array], Array]:
    """Return the preconditioner: smooth, correct from the next grid, smooth; solve the last one."""
    levels = [finest]
    while levels[-1].data.size > _SMALLEST:
        levels.append(levels[-1].coarsen())
    coarsest = levels.pop().inverse()

    def cycle(residual: Array, at: int = 0) -> Array:
        if at == len(levels):
            exact: Array = (coarsest @ residual.ravel()).reshape(residual.shape)
            return exact
        level = levels[at]
        u = level.damped_inverse * residual
        coarse = cycle(_pairs(_pairs(residual - level.apply(u)).T).T, at + 1)
        height, width = residual.shape
        u += coarse.repeat(2, 0)[:height].repeat(2, 1)[:, :width]
        u += level.damped_inverse * (residual - level.apply(u))
        return u

    return cycle
