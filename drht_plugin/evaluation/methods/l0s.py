"""L0 smoothing: Xu, Lu, Xu, Jia, "Image smoothing via L0 gradient minimization", 2011."""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.methods._entry import Plane
from drht_plugin.evaluation.methods._grid import adjoint, gradient, screened_poisson

LAMBDA = 2e-2
KAPPA = 2.0
BETA_MAX = 1e5


def smooth(plane: Plane) -> Plane:
    """Smooth a plane with a penalty on the number of pixels that have a gradient.

    Uses half-quadratic splitting with the paper's parameters. Each round drops the gradients whose
    squared length is below λ/β and solves for the plane that keeps the others; β grows from 2λ by
    factors of κ. Borders are free, whereas those of the paper are periodic.

    Args:
        plane: H×W in 0..1.

    Returns:
        H×W.
    """
    solve = screened_poisson(plane.shape)
    smoothed, beta = plane, 2 * LAMBDA
    while beta < BETA_MAX:
        dx, dy = gradient(smoothed)
        kept = dx * dx + dy * dy >= LAMBDA / beta
        smoothed = solve(plane + np.float32(beta) * adjoint(dx * kept, dy * kept), beta)
        beta *= KAPPA
    return smoothed
