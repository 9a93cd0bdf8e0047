"""Bilateral filtering with wide kernels, by a grid (Chen, Paris, Durand 2007)."""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.methods._entry import Plane
from drht_plugin.evaluation.optional import need


def bilateral(plane: Plane, guide: Plane, spatial: float, tonal: float) -> Plane:
    """Mean of `plane` over pixels near in place (σ `spatial`, pixels) and in `guide` (σ `tonal`).

    The grid has one cell per σ, and is read with linear interpolation.
    """
    ndimage = need("scipy.ndimage")
    height, width = plane.shape
    y, x = np.mgrid[:height, :width] / spatial
    z = guide / tonal
    shape = tuple(int(np.ceil(c.max())) + 1 for c in (y, x, z))
    cells = np.ravel_multi_index([np.rint(c).astype(np.intp).ravel() for c in (y, x, z)], shape)
    planes = []
    for weights in (plane.ravel(), None):
        grid = np.bincount(cells, weights, minlength=int(np.prod(shape))).reshape(shape)
        # Beyond the borders there is nothing: neither values nor weights.
        grid = ndimage.gaussian_filter(grid.astype(np.float64), 1.0, mode="constant")
        planes.append(ndimage.map_coordinates(grid, [y, x, z], order=1, mode="nearest"))
    total, weight = planes
    result: Plane = (total / np.maximum(weight, 1e-12)).astype(np.float32)
    return result
