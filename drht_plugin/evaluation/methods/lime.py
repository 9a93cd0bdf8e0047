"""LIME: Guo, Li, Ling, IEEE TIP 26(2), 2017.

"LIME: Low-light image enhancement via illumination map estimation". The illumination map starts
as the largest channel and is refined by the paper's sped-up solver with its weights III, which
are large where neighbouring gradients cancel out (texture) and small at structure.
"""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.methods._entry import Picture, Plane
from drht_plugin.evaluation.methods._grid import gradient
from drht_plugin.evaluation.methods._wls import smooth
from drht_plugin.evaluation.optional import import_optional

ALPHA = 0.15
SIGMA = 2.0
GAMMA = 0.8
EPSILON = 1e-3

DARKEST = 0.02
"""Added to the map, as in the authors' demonstration, to avoid a division by zero."""


def lime(picture: Picture) -> Picture:
    """Divide the picture by its illumination map to the power 0.8.

    The paper's optional last step, denoising with BM3D, is left out, because exposure is compared.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded, may exceed 1.
    """
    return picture / (illumination(picture) ** np.float32(GAMMA))[..., None]


def illumination(picture: Picture) -> Plane:
    """Return the refined illumination map, within the range of the initial one.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W.
    """
    ndimage = import_optional("scipy.ndimage")
    initial = picture.max(-1) + np.float32(DARKEST)
    weights = [
        ALPHA / ((np.abs(ndimage.gaussian_filter(d, SIGMA)) + EPSILON) * (np.abs(d) + EPSILON))
        for d in gradient(initial)
    ]
    # The exact minimiser stays in this range; the iterative one may leave it slightly.
    return np.clip(smooth(initial, *weights), initial.min(), initial.max())
