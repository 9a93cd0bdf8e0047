"""Apply the rules, one after another, to what the networks make of an overview.

`restraint` keeps clipped light bright and avoids slight darkening, `carry` restores the detail of
lifted shadows, and `evidence` leaves well-exposed pictures alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.survey.rules.carry import carry_detail
from drht_plugin.engine.survey.rules.evidence import share_to_keep, unseen
from drht_plugin.engine.survey.rules.restraint import anchor_mean_luma, brighten_clipped

FloatArray = npt.NDArray[np.float32]


def apply_rules(
    ldr: FloatArray,
    corrected: FloatArray,
    weight: FloatArray,
    *,
    wrap: bool,
    enlarged: bool = False,
) -> FloatArray:
    """Apply all rules to the networks' T.

    Args:
        ldr: x, h×w×3 float32 in 0..1, display-encoded.
        corrected: T of the networks, h×w×3 float32 in 0..1, display-encoded.
        weight: h×w float32 in 0..1, how much each pixel counts.
        wrap: whether columns are periodic.
        enlarged: whether the overview is larger than the picture.

    Returns:
        T, h×w×3 float32 in 0..1; the input bit for bit where the picture is left alone.
    """
    corrected = carry_detail(ldr, brighten_clipped(ldr, corrected), wrap=wrap)
    share = share_to_keep(ldr, corrected, weight, wrap=wrap, enlarged=enlarged)
    corrected = anchor_mean_luma(ldr, corrected, weight)
    return blend_with_input(ldr, corrected, max(share, unseen(ldr, corrected, weight)))


def blend_with_input(ldr: FloatArray, corrected: FloatArray, share: float) -> FloatArray:
    """Blend T with the input.

    Args:
        ldr: x, h×w×3 float32.
        corrected: T, h×w×3 float32.
        share: share of the input, 0..1; 0 gives T bit for bit and 1 the input bit for bit.
    """
    if share in (0, 1):
        return ldr.copy() if share else corrected
    return (corrected + np.float32(share) * (ldr - corrected)).astype(np.float32)
