"""Exposure fusion (Mertens, Kautz, Van Reeth 2007) of pseudo-exposures of the one input."""

from __future__ import annotations

import numpy as np

from drht_plugin.bridge.transfer import srgb_decode, srgb_encode
from drht_plugin.evaluation.methods._entry import Picture
from drht_plugin.evaluation.methods.basic import gamma
from drht_plugin.evaluation.optional import need

STOPS = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""EV of the pseudo-exposures: one more for the shadows, since what is clipped holds nothing."""


def fusion(picture: Picture) -> Picture:
    """Fuse shots at `STOPS`, each the input decoded, multiplied, clipped and encoded again.

    Contrast, saturation and well-exposedness weigh alike (exponents 1), as in the paper.
    """
    cv2 = need("cv2")
    linear = srgb_decode(picture)
    # The fusion divides by 255, whatever the type.
    shots = [(255 * srgb_encode(np.clip(linear * 2**ev, 0, 1))).astype(np.float32) for ev in STOPS]
    # Several threads would add the shots up in any order, and so round differently each time.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        result: Picture = cv2.createMergeMertens(1.0, 1.0, 1.0).process(shots)
    finally:
        cv2.setNumThreads(threads)
    return result


def fusion_gamma(picture: Picture) -> Picture:
    """`fusion`, then one gamma to the mean luma of `basic.gamma`."""
    return gamma(np.clip(fusion(picture), 0, 1))
