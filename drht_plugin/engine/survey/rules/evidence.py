"""Whether anything in a picture shows that its exposure is wrong; without that it stays as it is.

How bright its scene was, a single picture does not tell, and the networks answer all the same. What
it does tell is used here: whether light was clipped, whether white is there already, whether it was
drawn or lies on paper. Each answer is the share of the input that T has to hold, 0..1, and changes
smoothly with the picture, so that nothing jumps.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import LUMA

FloatArray = npt.NDArray[np.float32]

_GAMMA = 2.2
"""Of display codes, by which a change of them is one of exposure."""

_LARGE = (0.3, 0.45)
"""Lowering in EV: below the first value none, above the second a full one needs clipped light."""

_CLIPPED, _ENOUGH_CLIPPED = 0.98, 0.004
"""Code of the largest channel of what was clipped, and the share of it that allows lowering."""

_BRIGHT = (0.55, 0.7)
"""Mean luma above which a picture is not lifted: between the two, in part."""

_LIFTED = (0.1, 0.3)
"""Lifting in EV, of a bright picture: below the first value none, above the second a full one."""

_WHITE, _WHITE_QUANTILE = (0.85, 0.97), 0.99
"""Luma of a picture's brightest hundredth: between the two, white comes in."""

_DOUBTFUL, _SURE = (0.3, 0.45), (1.6, 2.0)
"""Lifting in EV of a picture that has white: between the two pairs as often wrong as right."""

_HEDGED = 0.65
"""The share of the input that such a lift keeps."""

_UNSEEN = (0.08, 0.12)
"""Root mean square of the change of pixels in EV: below the first value nobody sees it."""

_SHADOW = 0.02
"""Added to luma before a change in EV is taken: next to black, none is seen."""

_DRAWN = (0.04, 0.08)
"""Share of exactly flat places of middle tones: a photograph has grain, and next to none."""

_FLAT = 0.02 / 255
"""Largest difference between neighbours that counts as flat."""

_MIDDLE = (0.25, 0.97)
"""Codes of the largest channel between which flat places are neither dark nor clipped."""

_PAPER, _PAPER_ALL_ROUND, _MARGIN = 0.9, (0.94, 0.98), 3
"""Least code of paper, the share of the picture's margin that is paper, and its width in pixels."""


def share_to_keep(
    ldr: FloatArray,
    corrected: FloatArray,
    weight: FloatArray,
    *,
    wrap: bool,
    enlarged: bool = False,
) -> float:
    """Share of the input that T has to hold: 1 where nothing is wrong with the exposure.

    Args:
        ldr, corrected: h×w×3, x and T, display-encoded in 0..1.
        weight: h×w, how far each place counts.
        wrap: a panorama; it is on no paper.
        enlarged: the overview is larger than the picture: what is flat in it says nothing.
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
    """The share by which a change of exposure, in EV, has no ground in the picture's N×3 pixels.

    A picture is lowered because light was clipped. It is lifted because it is dark: not where it
    is bright as a whole, and by less where it has white already.
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
    """1 where T is so close to the input that nobody sees a difference; see `share_to_keep`."""
    stops = _GAMMA * np.log2((corrected @ LUMA + _SHADOW) / (ldr @ LUMA + _SHADOW))
    square = float((stops**2 * weight).sum(dtype=float)) / max(float(weight.sum()), 1e-6)
    return 1 - _ramp(square**0.5, *_UNSEEN)


def drawn(ldr: FloatArray, seen: npt.NDArray[np.bool_]) -> float:
    """1 for what was drawn, such as a chart, a page or a screenshot; `seen`: h×w, what counts."""
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
    """1 for a picture with white all round: a page, or a thing on a white ground."""
    margin = seen.copy()
    margin[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = False
    if not margin.any():
        return 0.0
    return _ramp(float((ldr.min(-1)[margin] > _PAPER).mean()), *_PAPER_ALL_ROUND)


def exposure_change(ldr: FloatArray, corrected: FloatArray, weight: FloatArray) -> float:
    """From the mean luma of the one to that of the other, in EV; see `share_to_keep`."""
    before, after = (mean_luma(picture, weight) for picture in (ldr, corrected))
    return _GAMMA * float(np.log2((after + 1e-4) / (before + 1e-4)))


def mean_luma(picture: FloatArray, weight: FloatArray) -> float:
    """Of h×w×3 pixels that count by their weight."""
    return float((picture @ LUMA * weight).sum(dtype=float)) / max(float(weight.sum()), 1e-6)


def _ramp(value: float, start: float, end: float) -> float:
    """0 up to `start`, 1 from `end` on."""
    return min(max((value - start) / (end - start), 0.0), 1.0)
