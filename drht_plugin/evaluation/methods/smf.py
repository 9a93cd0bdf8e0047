"""SMF: Q. Yang, "Semantic filtering", CVPR 2016.

A recursive filter that smooths within regions and stops at edges. The paper takes the edges from a
trained detector (structured forests), whose model is not available. Here, an edge is where the
gradient is large at a fine and at two coarser scales at once. Texture does not count, because the
coarser scales average it out. The filter is the recursive domain transform (Gastal and Oliveira
2011) with the edge map as its distance.
"""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.methods._entry import Plane
from drht_plugin.evaluation.optional import import_optional

SPREAD = 40.0
"""σ of the smoothing where there is no edge, in pixels."""

ROUNDS = 3
SCALES = (0.8, 2.0, 4.0)
"""σ of the Gaussians at which a gradient must be large, in pixels."""

EDGE = 0.06
"""Contrast at which a gradient is an edge with confidence ½."""

STOP = 100.0
"""Distance that a pixel with an edge of confidence 1 adds to the transform, in pixels."""


def smooth(plane: Plane) -> Plane:
    """Smooth a plane within its regions.

    Args:
        plane: H×W in 0..1.

    Returns:
        H×W.
    """
    distance = 1 + np.float32(STOP) * edges(plane)
    across = (distance[:, 1:] + distance[:, :-1]) * np.float32(0.5)
    down = (distance[1:] + distance[:-1]) * np.float32(0.5)
    for round_ in range(ROUNDS):
        # Gastal and Oliveira's schedule, which halves σ in each round.
        sigma = SPREAD * 3**0.5 * 2 ** (ROUNDS - round_ - 1) / (4**ROUNDS - 1) ** 0.5
        decay = np.float32(np.exp(-(2**0.5) / sigma))
        plane = _spread(plane.T, (decay**across).T).T
        plane = _spread(plane, decay**down)
    return np.ascontiguousarray(plane)


def edges(plane: Plane) -> Plane:
    """Return the confidence that a pixel lies on the boundary of two regions.

    Args:
        plane: H×W in 0..1.

    Returns:
        H×W in 0..1.
    """
    ndimage = import_optional("scipy.ndimage")
    contrast = np.ones_like(plane)
    for sigma in SCALES:
        # Multiplied by σ, the gradient of a step is the same at every scale.
        contrast *= sigma * ndimage.gaussian_gradient_magnitude(plane, sigma, mode="nearest")
    contrast = contrast ** np.float32(1 / len(SCALES))
    confidence = contrast**2 / (contrast**2 + np.float32(EDGE**2))
    return confidence.astype(np.float32)


def _spread(plane: Plane, keep: Plane) -> Plane:
    """Filter down the rows and back; each row takes the share `keep` of its neighbour."""
    out = np.array(plane, order="C")
    keep = np.ascontiguousarray(keep)
    for row in range(1, len(out)):
        out[row] += keep[row - 1] * (out[row - 1] - out[row])
    for row in range(len(out) - 2, -1, -1):
        out[row] += keep[row] * (out[row + 1] - out[row])
    return out
