"""WVM, also SRIE: Fu, Zeng, Huang, Zhang, Ding, CVPR 2016.

"A weighted variational model for simultaneous reflectance and illumination estimation". The
logarithm s of HSV's V is decomposed into a log reflectance r and a log illumination l:

    minimise ‖r + l − s‖² + c₁‖eʳ·∇r‖₁ + c₂‖eˡ·∇l‖²   with r ≤ 0 and s ≤ l,

by alternating directions; the weights eʳ and eˡ are those of the last iteration.

The energy and its constants are the paper's. The minimisation differs in three points:

- The paper treats the weights as constant, so that a Fourier transform solves its systems. Here
  they vary: each quadratic is replaced by an upper bound with constant coefficients, which touches
  it at the last iterate and which a cosine transform minimises.
- Borders are free rather than periodic.
- λ, the penalty of the alternating directions, is 30 rather than 1, with three rounds for r in each
  iteration. It changes the path but not the minimum; with 1, the energy rises on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drht_plugin.evaluation.methods._colour import with_brightness
from drht_plugin.evaluation.methods._entry import Picture, Plane
from drht_plugin.evaluation.methods._grid import adjoint, gradient, screened_poisson

C1 = 0.01
C2 = 0.1
LAMBDA = 30.0
ROUNDS = 3
GAMMA = 2.2
"""The corrected picture is R·L^(1/γ)."""

TOLERANCE = 1e-3
"""Relative change of r and l at which the iterations stop."""

ITERATIONS = 20
_DARKEST = 1 / 255


@dataclass(frozen=True)
class Parts:
    """Decomposition of a plane.

    Attributes:
        reflectance: H×W log reflectance r.
        illumination: H×W log illumination l.
        energies: the energy at the start and after each iteration.
    """

    reflectance: Plane
    illumination: Plane
    energies: tuple[float, ...]


def wvm(picture: Picture) -> Picture:
    """Replace V by R·L^(1/2.2), which keeps hue and saturation.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded.
    """
    value = picture.max(-1)
    parts = decompose(value)
    enhanced = np.exp(parts.reflectance + parts.illumination / GAMMA)
    return with_brightness(picture, value, enhanced, _DARKEST)


def decompose(value: Plane) -> Parts:
    """Decompose a plane into log reflectance and log illumination.

    Args:
        value: H×W in 0..1.

    Returns:
        The decomposition.
    """
    s = np.log(np.maximum(value, np.float32(_DARKEST)))
    solve = screened_poisson(s.shape)
    r, light = np.zeros_like(s), s
    bx, by = np.zeros_like(s), np.zeros_like(s)
    energies = [_energy(r, light, s)]
    for _ in range(ITERATIONS):
        r_last, light_last = r, light
        weight = np.exp(r)
        for _ in range(ROUNDS):
            rx, ry = gradient(r)
            # P1 of the paper: an auxiliary gradient d of the reflectance, by shrinkage.
            dx, dy = _shrink(weight * rx + bx), _shrink(weight * ry + by)
            # P2: the reflectance; its weights are at most 1.
            slope = adjoint(weight * (weight * rx - dx + bx), weight * (weight * ry - dy + by))
            r = np.minimum(_step(solve, s - light, r, slope, C1 * LAMBDA, 1.0), 0)
            rx, ry = gradient(r)
            bx, by = bx + weight * rx - dx, by + weight * ry - dy
        # P3: the illumination.
        square = np.exp(2 * light)
        lx, ly = gradient(light)
        slope = adjoint(square * lx, square * ly)
        light = np.maximum(_step(solve, s - r, light, slope, C2, float(square.max())), s)
        energy = _energy(r, light, s)
        if energy >= energies[-1]:  # at the minimum, up to rounding
            return Parts(r_last, light_last, tuple(energies))
        energies.append(energy)
        if _change(r, r_last) <= TOLERANCE and _change(light, light_last) <= TOLERANCE:
            break
    return Parts(r, light, tuple(energies))


def _shrink(x: Plane) -> Plane:
    threshold = np.float32(1 / (2 * LAMBDA))
    return x - np.clip(x, -threshold, threshold)


def _step(
    solve: Callable[[Plane, float], Plane],
    data: Plane,
    last: Plane,
    slope: Plane,
    weight: float,
    bound: float,
) -> Plane:
    """Minimise ‖u − data‖² + weight·Q(u) over u, with Q replaced by an upper bound.

    Args:
        solve: solver of the bounded problem, see `screened_poisson`.
        data: H×W.
        last: H×W last iterate.
        slope: H×W, half the gradient of Q at `last`.
        weight: weight of Q.
        bound: largest curvature of Q relative to ‖∇u‖².
    """
    target = data + np.float32(weight) * (np.float32(bound) * adjoint(*gradient(last)) - slope)
    return solve(target, weight * bound)


def _energy(r: Plane, light: Plane, s: Plane) -> float:
    rx, ry = gradient(r)
    lx, ly = gradient(light)
    misfit = np.square(r + light - s).sum(dtype=np.float64)
    rough = (np.exp(r) * (np.abs(rx) + np.abs(ry))).sum(dtype=np.float64)
    uneven = (np.exp(2 * light) * (lx * lx + ly * ly)).sum(dtype=np.float64)
    return float(misfit + C1 * rough + C2 * uneven)


def _change(now: Plane, last: Plane) -> float:
    return float(np.linalg.norm(now - last) / max(float(np.linalg.norm(last)), 1e-9))
