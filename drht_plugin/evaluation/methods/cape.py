"""CAPE: Kaufman, Lischinski, Werman, Computer Graphics Forum 31(8), 2012.

"Content-aware automatic photo enhancement". From the paper: a global stretch that clips 0.5 % at
each end, 20 % more saturation, a base and a detail layer of the lightness by weighted least
squares, salient shadows of the base lifted by

    f = min(2, P35(bright) / P95(dark)),  B' = f·M·B + (1 − M)·B,

and detail D boosted to D + c·P·D. The paper uses learned parts that are not available and leaves
some choices open. The choices here:

- saliency is frequency-tuned (Achanta et al. 2009): the distance of the blurred CIELAB colour from
  the picture's mean, relative to its 95th percentile;
- M is saliency times a ramp from 0 at lightness 50 to 1 at 25, so that lifting ends without a step;
- P is saliency, and c is 0.25, the paper's largest value;
- faces and skies, which need detectors, are not treated specially.
"""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.methods._entry import Picture, Plane
from drht_plugin.evaluation.methods._wls import base as base_layer
from drht_plugin.evaluation.methods.basic import auto_levels
from drht_plugin.evaluation.optional import import_optional

SATURATION = 1.2
DARK = 50.0
"""CIELAB lightness (0..100) below which a pixel of the base is dark."""

LIFT_MAX = 2.0
DETAIL = 0.25
_RAMP = 25.0


def cape(picture: Picture) -> Picture:
    """Stretch, saturate, lift salient shadows and boost salient detail.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded.
    """
    cv2 = import_optional("cv2")
    lab = cv2.cvtColor(np.clip(auto_levels(picture), 0, 1), cv2.COLOR_RGB2Lab)
    lightness = lab[..., 0]
    base = 100 * base_layer(lightness / 100)
    salient = _saliency(lab)
    mask = salient * np.clip((DARK - base) / _RAMP, 0, 1)
    lifted = base * (1 + (lift(base) - 1) * mask)
    lab[..., 0] = np.clip(lifted + (1 + DETAIL * salient) * (lightness - base), 0, 100)
    lab[..., 1:] *= SATURATION
    result: Picture = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    return result


def lift(base: Plane) -> float:
    """Return the paper's f.

    Args:
        base: H×W base layer of the lightness, 0..100.

    Returns:
        The factor; 1 if no pixel is dark or none is bright.
    """
    dark = base < DARK
    if dark.all() or not dark.any():
        return 1.0
    brightest_dark = float(np.percentile(base[dark], 95))
    return min(LIFT_MAX, float(np.percentile(base[~dark], 35)) / max(brightest_dark, 1e-3))


def _saliency(lab: Picture) -> Plane:
    """Return the frequency-tuned saliency, H×W in 0..1."""
    ndimage = import_optional("scipy.ndimage")
    blurred = ndimage.gaussian_filter(lab, (2, 2, 0))
    distance = np.linalg.norm(blurred - lab.mean((0, 1)), axis=-1)
    top = max(float(np.percentile(distance, 95)), 1e-3)
    saliency: Plane = np.clip(distance / top, 0, 1).astype(np.float32)
    return saliency
