"""Look for evidence that the exposure is wrong; a picture without any is left as it is.

A single picture does not tell how bright its scene was, and the networks answer all the same. It
does tell whether light was clipped, whether it contains white already, and whether it is a drawing
or lies on paper. Each test returns the share of the input that T has to keep, 0..1, and varies
smoothly with the picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import LUMA

FloatArray = npt.NDArray[np.float32]

_GAMMA = 2.2
"""Exponent of display codes, which turns a change of codes into one of exposure."""

_LARGE = (0.3, 0.45)
"""Lowering in EV: below the first value it needs no evidence, above the second it needs clipped
light."""

_CLIPPED, _ENOUGH_CLIPPED = 0.98, 0.004
"""Code of the largest channel above which a pixel is clipped; share of such pixels that allows
lowering."""

_BRIGHT = (0.55, 0.7)
"""Mean luma: below the first value a picture may be lifted, above the second it is too bright for
it."""

_LIFTED = (0.1, 0.3)
"""Lift of a bright picture in EV: accepted below the first value, refused above the second."""

_WHITE, _WHITE_QUANTILE = (0.85, 0.97), 0.99
"""Luma of the bright quantile from which a picture contains white, in part and fully; that
quantile."""

_DOUBTFUL, _SURE = (0.3, 0.45), (1.6, 2.0)
"""Lift in EV of a picture with white: doubt sets in over the first range and ends over the second.

In between, lifting is as often wrong as right."""

_HEDGED = 0.65
"""Share of the input that a doubtful lift keeps."""

_UNSEEN = (0.08, 0.12)
"""Root mean square change in EV: invisible below the first value, visible above the second."""

_SHADOW = 0.02
"""Luma that is added before a change in EV is taken; next to black no change is visible."""

_DRAWN = (0.04, 0.08)
"""Share of exactly flat places of middle tones in a drawing; a photograph has grain instead."""

_FLAT = 0.02 / 255
"""Largest difference between neighbours that counts as flat."""

_MIDDLE = (0.25, 0.97)
"""Codes of the largest channel between which a flat place counts: neither dark nor clipped."""

_PAPER, _PAPER_ALL_ROUND, _MARGIN = 0.9, (0.94, 0.98), 3
"""Least code of paper; share of the picture's margin that is paper; width of the margin in
pixels."""


def share_to_keep(
    ldr: FloatArray,
    corrected: FloatArray,
    weight: FloatArray,
    *,
    wrap: bool,
    enlarged: bool = False,
) -> float:
    """Return the share of the input that T has to keep.

    Args:
        ldr: x, h×w×3 float32 in 0..1, display-encoded.
        corrected: T, h×w×3 float32 in 0..1, display-encoded.
        weight: h×w float32 in 0..1, how much each pixel counts.
        wrap: whether it is a panorama, which cannot lie on paper.
        enlarged: whether the overview is larger than the picture, so that flatness says nothing.

    Returns:
        0..1; 1 where nothing shows that the exposure is wrong.
    """
    seen = weight > 0
    if not seen.any():
        return 0.0
    change = exposure_change(ldr, corrected, weight)
    shares = [unfounded(ldr[seen], change)]
    if not enlarged:
        shares.append(drawn(ldr, seen))
    if not wrap:
        shares.append(on_paper(ldr, seen))
    return max(shares)


def unfounded(pixels: FloatArray, change: float) -> float:
    """Return how far nothing in the picture supports a change of exposure.

    Lowering needs clipped light. Lifting needs a dark picture: a bright one is not lifted, and one
    that contains white already is lifted by less.

    Args:
        pixels: N×3 float32 in 0..1, display-encoded.
        change: change of exposure, in EV.

    Returns:
        The share of the input to keep, 0..1.
    """
    luma = pixels @ LUMA
    if change < 0:
        clipped = float((pixels.max(-1) > _CLIPPED).mean())
        return _ramp(-change, *_LARGE) * (1 - _ramp(clipped, 0, _ENOUGH_CLIPPED))
    bright = _ramp(float(luma.mean()), *_BRIGHT) * _ramp(change, *_LIFTED)
    white = _ramp(float(np.quantile(luma, _WHITE_QUANTILE)), *_WHITE)
    doubtful = _ramp(change, *_DOUBTFUL) * (1 - _ramp(change, *_SURE))
    return max(bright, _HEDGED * white * doubtful)


def unseen(ldr: FloatArray, corrected: FloatArray, weight: FloatArray) -> float:
    """Return how far the change from the input to T is invisible.

    Args:
        ldr: x, h×w×3 float32 in 0..1, display-encoded.
        corrected: T, h×w×3 float32 in 0..1, display-encoded.
        weight: h×w float32 in 0..1, how much each pixel counts.

    Returns:
        0..1; 1 where nobody would see a difference.
    """
    stops = _GAMMA * np.log2((corrected @ LUMA + _SHADOW) / (ldr @ LUMA + _SHADOW))
    square = float((stops**2 * weight).sum(dtype=float)) / max(float(weight.sum()), 1e-6)
    return 1 - _ramp(square**0.5, *_UNSEEN)


def drawn(ldr: FloatArray, seen: npt.NDArray[np.bool_]) -> float:
    """Return how far a picture looks drawn, such as a chart, a page or a screenshot.

    Args:
        ldr: h×w×3 float32 in 0..1, display-encoded.
        seen: h×w mask of the pixels that count.

    Returns:
        0..1; 1 for a drawing.
    """
    flat = seen.copy()
    across, down = (np.abs(np.diff(ldr, axis=axis)).max(-1) < _FLAT for axis in (1, 0))
    flat[:, 1:] &= across
    flat[:, :-1] &= across
    flat[1:] &= down
    flat[:-1] &= down
    peak = ldr.max(-1)
    flat &= (peak > _MIDDLE[0]) & (peak < _MIDDLE[1])
    return _ramp(float(flat.sum()) / float(seen.sum()), *_DRAWN)


def on_paper(ldr: FloatArray, seen: npt.NDArray[np.bool_]) -> float:
    """Return how far a picture has white all round, such as a page or a product on white.

    Args:
        ldr: h×w×3 float32 in 0..1, display-encoded.
        seen: h×w mask of the pixels that count.

    Returns:
        0..1; 1 for white all round.
    """
    margin = seen.copy()
    margin[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = False
    if not margin.any():
        return 0.0
    return _ramp(float((ldr.min(-1)[margin] > _PAPER).mean()), *_PAPER_ALL_ROUND)


def exposure_change(ldr: FloatArray, corrected: FloatArray, weight: FloatArray) -> float:
    """Return the change in mean luma from the input to T, in EV.

    Args:
        ldr: x, h×w×3 float32 in 0..1, display-encoded.
        corrected: T, h×w×3 float32 in 0..1, display-encoded.
        weight: h×w float32 in 0..1, how much each pixel counts.
    """
    before, after = (mean_luma(picture, weight) for picture in (ldr, corrected))
    return _GAMMA * float(np.log2((after + 1e-4) / (before + 1e-4)))


def mean_luma(picture: FloatArray, weight: FloatArray) -> float:
    """Return the weighted mean luma of a picture.

    Args:
        picture: h×w×3 float32.
        weight: h×w float32 in 0..1, how much each pixel counts.
    """
    return float((picture @ LUMA * weight).sum(dtype=float)) / max(float(weight.sum()), 1e-6)


def _ramp(value: float, start: float, end: float) -> float:
    """Rise linearly from 0 at `start` to 1 at `end`, and clip."""
    return min(max((value - start) / (end - start), 0.0), 1.0)
