"""Bilateral filter with wide kernels, by a bilateral grid (Chen, Paris, Durand 2007)."""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.methods._entry import Plane
from drht_plugin.evaluation.optional import import_optional


def bilateral(plane: Plane, guide: Plane, spatial: float, tonal: float) -> Plane:
    """Apply a cross-bilateral filter, approximated by a grid with one cell per σ.

    Args:
        plane: H×W plane to filter.
        guide: H×W plane whose edges are preserved, 0 or more.
        spatial: σ in pixels.
        tonal: σ in units of `guide`.

    Returns:
        H×W.

    Raises:
        DependencyError: scipy is not installed.
    """
    ndimage = import_optional("scipy.ndimage")
    height, width = plane.shape
    y, x = np.mgrid[:height, :width] / spatial
    z = guide / tonal
    shape = tuple(int(np.ceil(c.max())) + 1 for c in (y, x, z))
    cells = np.ravel_multi_index([np.rint(c).astype(np.intp).ravel() for c in (y, x, z)], shape)
    planes = []
    for weights in (plane.ravel(), None):
        grid = np.bincount(cells, weights, minlength=int(np.prod(shape))).reshape(shape)
        # Outside the borders, both values and weights are 0.
        grid = ndimage.gaussian_filter(grid.astype(np.float64), 1.0, mode="constant")
        planes.append(ndimage.map_coordinates(grid, [y, x, z], order=1, mode="nearest"))
    total, weight = planes
    result: Plane = (total / np.maximum(weight, 1e-12)).astype(np.float32)
    return result
