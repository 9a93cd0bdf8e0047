"""What is measured of one method on one item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.evaluation import metrics
from drht_plugin.evaluation.datasets import Item

FloatArray = npt.NDArray[np.float32]

PEAK_LUMINANCE = 100.0
"""cd/m² of H = 1, where a metric wants absolute units."""

_CODES_SURE = (5, 250)
_CLIPPED_CODE = 254
_FLOOR = 2.0**-10


@dataclass(frozen=True)
class Score:
    """One number per item: its `measure`, and whether more of it is better."""

    measure: Callable[[FloatArray, Item], float]
    higher_is_better: bool = True


def _gamma_matched_psnr(picture: FloatArray, item: Item) -> float:
    """PSNR after the one gamma that meets the reference's mean luma: structure without exposure."""
    goal = float(item.reference.mean()) / 255
    low, high = 0.1, 10.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if float((picture**middle).mean()) > goal else (low, middle)
    return metrics.psnr(picture ** np.float32((low * high) ** 0.5), item.reference)


def _luma_change(picture: FloatArray, item: Item) -> float:
    weights = np.array([0.299, 0.587, 0.114])
    return float(abs(((picture * 255 - item.ldr.astype(np.float32)) @ weights).mean()))


DISPLAY: Mapping[str, Score] = {
    "psnr": Score(lambda t, item: metrics.psnr(t, item.reference)),
    "ssim": Score(lambda t, item: metrics.ssim(t, item.reference)),
    "psnr-gamma": Score(_gamma_matched_psnr),
    "fsim": Score(lambda t, item: metrics.fsim(t, item.reference)),
    "fsimc": Score(lambda t, item: metrics.fsimc(t, item.reference)),
    "luma-change": Score(_luma_change, higher_is_better=False),
}
"""Of display-encoded results H×W×3 in 0..1, against the item's reference."""


def _log_luminance(radiance: FloatArray) -> FloatArray:
    light = radiance @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return np.log2(np.maximum(light, _FLOOR))


def _stops(radiance: FloatArray, item: Item, mask: Any) -> float:
    """Mean |log2 H − log2 true H| of luminance where `mask`; NaN where there is none of it."""
    assert item.radiance is not None
    if item.known is not None:
        mask = mask & item.known
    if not mask.any():
        return float("nan")
    difference = _log_luminance(radiance) - _log_luminance(item.radiance)
    return float(np.abs(difference[mask]).mean())


def _ev_unclipped(radiance: FloatArray, item: Item) -> float:
    low, high = _CODES_SURE
    return _stops(radiance, item, ((item.ldr >= low) & (item.ldr <= high)).all(-1))


def _ev_clipped(radiance: FloatArray, item: Item) -> float:
    return _stops(radiance, item, (item.ldr >= _CLIPPED_CODE).any(-1))


def _absolute(radiance: FloatArray) -> FloatArray:
    return np.maximum(radiance, 1e-4) * np.float32(PEAK_LUMINANCE)


HDR: Mapping[str, Score] = {
    "ev-unclipped": Score(_ev_unclipped, higher_is_better=False),
    "ev-clipped": Score(_ev_clipped, higher_is_better=False),
    "hdr-vdp2": Score(lambda h, item: metrics.hdr_vdp2(_absolute(h), _absolute(_true(item)))),
    "pu21-psnr": Score(lambda h, item: metrics.pu21_psnr(_absolute(h), _absolute(_true(item)))),
}
"""Of scene-linear results H×W×3, 1.0 = the clip point, against the item's true radiance."""


def _true(item: Item) -> FloatArray:
    assert item.radiance is not None
    return item.radiance
