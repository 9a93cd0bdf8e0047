"""Exposure fusion (Mertens, Kautz, Van Reeth 2007) of pseudo-exposures of a single input."""

from __future__ import annotations

import numpy as np

from drht_plugin.bridge.transfer import srgb_decode, srgb_encode
from drht_plugin.evaluation.methods._entry import Picture
from drht_plugin.evaluation.methods.basic import gamma
from drht_plugin.evaluation.optional import import_optional

STOPS = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""EV of the pseudo-exposures; more for the shadows, because clipped highlights have no detail."""


def fusion(picture: Picture) -> Picture:
    """Fuse pseudo-exposures of the input at `STOPS`.

    Contrast, saturation and well-exposedness have equal weights (exponents 1), as in the paper.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded, may exceed 0..1.
    """
    cv2 = import_optional("cv2")
    linear = srgb_decode(picture)
    # OpenCV's fusion divides by 255 for every type.
    shots = [(255 * srgb_encode(np.clip(linear * 2**ev, 0, 1))).astype(np.float32) for ev in STOPS]
    # Several threads would add the shots in varying order, and so round differently each time.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        result: Picture = cv2.createMergeMertens(1.0, 1.0, 1.0).process(shots)
    finally:
        cv2.setNumThreads(threads)
    return result


def fusion_gamma(picture: Picture) -> Picture:
    """Apply `fusion`, then `basic.gamma`.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded.
    """
    return gamma(np.clip(fusion(picture), 0, 1))
