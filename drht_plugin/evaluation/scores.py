"""The metrics by name, with what each means and needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.transfer import H_MAX
from drht_plugin.errors import InputError
from drht_plugin.evaluation import metrics
from drht_plugin.evaluation.datasets import FloatArray, Item

PEAK_LUMINANCE = 100.0
"""Luminance of H = 1 for metrics that need absolute units, in cd/m²."""
PIXELS_PER_DEGREE = 30.0
"""Resolution assumed for HDR-VDP-2."""
MOST_DECIBELS = 100.0
"""PSNR of equal images, because infinity cannot be averaged, in dB."""

# Thresholds between 8-bit codes, so that rounding and 16 bits do not matter.
_SURE = (4.5 / 255, 250.5 / 255)
_CLIPPED = 253.5 / 255
_FLOOR = 2.0**-10  # of H, before logarithms
_LUMA = np.array([0.299, 0.587, 0.114])
_STEP = 0.5 / 255  # added to steps of luma, so that the ratio of two zero steps is 1


@dataclass(frozen=True)
class Row:
    """Values of one method on one item.

    Attributes:
        item: name of the item.
        method: name of the method.
        groups: column → value, for the tables by group.
        values: metric → value; None if it is not finite.
    """

    item: str
    method: str
    groups: Mapping[str, str]
    values: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """A metric.

    Attributes:
        measure: function from a method's H×W×3 result and the item to the value.
        about: one line that explains the metric.
        higher_is_better: direction; None if neither is better.
        needs_radiance: whether it applies only to items with known radiance.
        needs_wrap: whether it applies only to panoramas.
    """

    measure: Callable[[FloatArray, Item], float]
    about: str
    higher_is_better: bool | None = True
    needs_radiance: bool = False
    needs_wrap: bool = False

    def applies_to(self, item: Item) -> bool:
        """Return whether the metric can be measured on an item.

        Args:
            item: the item.
        """
        known = item.radiance is not None or not self.needs_radiance
        return known and (item.wrap or not self.needs_wrap)


def _psnr(picture: FloatArray, item: Item) -> float:
    return min(metrics.psnr(picture, item.reference), MOST_DECIBELS)


def _gamma_matched_psnr(picture: FloatArray, item: Item) -> float:
    """Return the PSNR after the gamma that gives the picture the reference's mean."""
    goal = float(item.reference.mean()) / float(np.iinfo(item.reference.dtype).max)
    low, high = 0.1, 10.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if float((picture**middle).mean()) > goal else (low, middle)
    return _psnr(picture ** np.float32((low * high) ** 0.5), item)


def _luma_change(picture: FloatArray, item: Item) -> float:
    return float(abs(255 * ((picture - item.picture) @ _LUMA).mean()))


def _seam(picture: FloatArray, item: Item) -> float:
    """Return the step across a panorama's edge over the steps beside it."""
    luma = picture @ _LUMA
    across = float(np.abs(luma[:, 0] - luma[:, -1]).mean())
    beside = float(np.abs(np.diff(luma[:, [-3, -2, -1]], axis=1)).mean())
    beside += float(np.abs(np.diff(luma[:, [0, 1, 2]], axis=1)).mean())
    return (across + _STEP) / (beside / 2 + _STEP)


DISPLAY: Mapping[str, Score] = {
    "psnr": Score(_psnr, "peak signal-to-noise ratio against the reference, dB"),
    "ssim": Score(lambda t, item: metrics.ssim(t, item.reference), "structural similarity of luma"),
    "psnr-gamma": Score(
        _gamma_matched_psnr, "PSNR after the gamma that matches the reference's mean, dB"
    ),
    "fsim": Score(lambda t, item: metrics.fsim(t, item.reference), "feature similarity of luma"),
    "fsimc": Score(
        lambda t, item: metrics.fsimc(t, item.reference), "feature similarity with chrominance"
    ),
    "luma-change": Score(
        _luma_change, "change of mean luma from the input, 8-bit codes", higher_is_better=None
    ),
    "seam": Score(
        _seam,
        "luma step where a panorama's edges meet, relative to those beside it; 1 means no seam",
        higher_is_better=None,
        needs_wrap=True,
    ),
    "tmqi": Score(
        lambda t, item: metrics.tmqi(t, _truth(item)),
        "tone-mapped image quality index against the true radiance",
        needs_radiance=True,
    ),
}
"""Metrics of display-encoded results in 0..1."""


def _truth(item: Item) -> FloatArray:
    assert item.radiance is not None
    return item.radiance


def _log_luminance(radiance: FloatArray) -> FloatArray:
    light = np.minimum(radiance, H_MAX) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return np.log2(np.maximum(light, _FLOOR))


def _stops(radiance: FloatArray, item: Item, mask: npt.NDArray[np.bool_]) -> float:
    """Return the mean |log2 H − log2 true H| of luminance within `mask`; NaN if it is empty."""
    if item.known is not None:
        mask = mask & item.known
    if not mask.any():
        return math.nan
    difference = _log_luminance(radiance) - _log_luminance(_truth(item))
    return float(np.abs(difference[mask]).mean())


def _ev_unclipped(radiance: FloatArray, item: Item) -> float:
    low, high = _SURE
    inside = (item.picture >= low) & (item.picture <= high)
    return _stops(radiance, item, np.all(inside, axis=-1))


def _ev_clipped(radiance: FloatArray, item: Item) -> float:
    return _stops(radiance, item, np.any(item.picture >= _CLIPPED, axis=-1))


def _absolute(radiance: FloatArray) -> FloatArray:
    return radiance.clip(1e-4, H_MAX) * np.float32(PEAK_LUMINANCE)


def _hdr_vdp2(radiance: FloatArray, item: Item) -> float:
    test, reference = _absolute(radiance), _absolute(_truth(item))
    return metrics.hdr_vdp2(test, reference, pixels_per_degree=PIXELS_PER_DEGREE)


def _pu21_psnr(radiance: FloatArray, item: Item) -> float:
    value = metrics.pu21_psnr(_absolute(radiance), _absolute(_truth(item)))
    return min(value, MOST_DECIBELS)


def _of_radiance(
    measure: Callable[[FloatArray, Item], float], about: str, higher_is_better: bool = True
) -> Score:
    return Score(measure, about, higher_is_better, needs_radiance=True)


HDR: Mapping[str, Score] = {
    "ev-unclipped": _of_radiance(
        _ev_unclipped, "mean error where the input is not clipped, stops", higher_is_better=False
    ),
    "ev-clipped": _of_radiance(
        _ev_clipped, "mean error where the input is clipped, stops", higher_is_better=False
    ),
    "hdr-vdp2": _of_radiance(_hdr_vdp2, "quality Q of HDR-VDP-2.2"),
    "pu21-psnr": _of_radiance(_pu21_psnr, "PSNR in the PU21 encoding, dB"),
}
"""Metrics of scene-linear results, 1.0 at the input's clip point, compared up to `H_MAX`."""

SCORES: Mapping[str, Score] = {**DISPLAY, **HDR}

_DEFAULT = tuple(name for name in SCORES if name != "fsimc")
"""All but FSIMc, which doubles the cost of FSIM and is nearly equal to it."""


def chosen_metrics(given: str | None) -> tuple[str, ...]:
    """Return the metrics that an option names.

    Args:
        given: comma-separated names, "all", or None for the default ones.

    Returns:
        Names of metrics.

    Raises:
        InputError: a name is unknown; the message lists the known ones.
    """
    if given is None:
        return _DEFAULT
    return tuple(SCORES) if given == "all" else require_known("metrics", given, list(SCORES))


def require_known(what: str, given: str, known: Sequence[str]) -> tuple[str, ...]:
    """Split a comma-separated list and refuse unknown names.

    Args:
        what: what the names are of, for the message.
        given: comma-separated names.
        known: accepted names.

    Returns:
        The names, without repetitions.

    Raises:
        InputError: a name is unknown; the message lists the known ones.
    """
    names = tuple(dict.fromkeys(name.strip() for name in given.split(",")))
    unknown = [repr(name) for name in names if name not in known]
    if unknown:
        raise InputError(
            f"unknown {what} {', '.join(unknown)}; expected all or some of {', '.join(known)}"
        )
    return names
