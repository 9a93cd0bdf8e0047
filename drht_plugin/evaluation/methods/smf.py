"""SMF: Q. Yang, "Semantic filtering", CVPR 2016.

A recursive filter that spreads freely inside regions and stops at edges. The paper takes the edges
from a trained detector (structured forests), whose model cannot be had; here an edge is what the
gradient shows at a fine and at two coarser scales at once, so that texture, which coarser scales
average out, does not count. The filter is the recursive domain transform (Gastal and Oliveira
2011) with that edge map as its distance.
"""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.methods._entry import Plane
from drht_plugin.evaluation.optional import need

SPREAD = 40.0
"""σ of the smoothing in pixels, where there is no edge."""

ROUNDS = 3
SCALES = (0.8, 2.0, 4.0)
"""σ of the Gaussians under which a gradient must show."""

EDGE = 0.06
"""Contrast at which a gradient is an edge with confidence one half."""

STOP = 100.0
"""Pixels of free spreading that one pixel of sure edge is as hard to cross as."""


def smooth(plane: Plane) -> Plane:
    """Smooth a plane of 0..1 within its regions."""
    distance = 1 + np.float32(STOP) * edges(plane)
    across = (distance[:, 1:] + distance[:, :-1]) * np.float32(0.5)
    down = (distance[1:] + distance[:-1]) * np.float32(0.5)
    for round_ in range(ROUNDS):
        # Gastal and Oliveira's shares of the variance, halving the spread each round.
        sigma = SPREAD * 3**0.5 * 2 ** (ROUNDS - round_ - 1) / (4**ROUNDS - 1) ** 0.5
        decay = np.float32(np.exp(-(2**0.5) / sigma))
        plane = _spread(plane.T, (decay**across).T).T
        plane = _spread(plane, decay**down)
    return np.ascontiguousarray(plane)


def edges(plane: Plane) -> Plane:
    """Confidence 0..1 that a pixel lies on the boundary of two regions."""
    ndimage = need("scipy.ndimage")
    contrast = np.ones_like(plane)
    for sigma in SCALES:
        # Times σ, a step gives the same value at every scale.
        contrast *= sigma * ndimage.gaussian_gradient_magnitude(plane, sigma, mode="nearest")
    contrast = contrast ** np.float32(1 / len(SCALES))
    confidence = contrast**2 / (contrast**2 + np.float32(EDGE**2))
    return confidence.astype(np.float32)


def _spread(plane: Plane, keep: Plane) -> Plane:
    """Down the rows and back, each row taking the share `keep` of its neighbour."""
    out = np.array(plane, order="C")
    keep = np.ascontiguousarray(keep)
    for row in range(1, len(out)):
        out[row] += keep[row - 1] * (out[row - 1] - out[row])
    for row in range(len(out) - 2, -1, -1):
        out[row] += keep[row] * (out[row + 1] - out[row])
    return out
