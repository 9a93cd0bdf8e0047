"""Develop demosaiced camera raw: clipped channels, colours, and the roll-off of highlights.

Channels clip one after the other, as the white balance scales them by different factors. What a
channel still holds above the clip point of another is real, and tells what the other has lost.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin.bridge.roll_off import SATURATED, roll_off
from drht_plugin.bridge.transfer import srgb_encode

Light = NDArray[np.float32]

_HOLDS, _CLIPPED = 0.93, 0.99
"""Shares of a channel's clip point up to which it holds, and from which it is clipped."""

_TRUST = 1e-3
"""Weight of the largest clip point, which counts where no channel holds."""

_BRIGHT = 0.9999
"""Share of pixels that the headroom covers; the others are single hot pixels."""

_ROWS = 256


@dataclass(frozen=True)
class Sensor:
    """What is known of a raw picture's channels, after the white balance.

    Attributes:
        clips: value of each channel at which it clips; the least of them is 1.
        to_srgb: 3×3 matrix from the camera's colours to linear sRGB.
    """

    clips: tuple[float, ...]
    to_srgb: NDArray[np.float64]


def develop(values: NDArray[np.uint16], scale: float, sensor: Sensor) -> tuple[Any, float]:
    """Turn the camera's values into a display picture.

    Args:
        values: H×W×3 uint16, linear, white-balanced, in the camera's colours, not scaled to clip.
            Overwritten by the result.
        scale: value at which the first channel clips.
        sensor: of the picture.

    Returns:
        H×W×3 uint16 sRGB codes, rolled off; and the headroom, 1 or more, see `bridge.roll_off`.
    """
    bands = [slice(top, top + _ROWS) for top in range(0, len(values), _ROWS)]
    counts = np.zeros(1 << 12, np.int64)
    most = max(sensor.clips)
    for band in bands:
        light = to_light(values[band].astype(np.float32) / np.float32(scale), sensor)
        levels = (light.max(-1) * ((len(counts) - 1) / most)).astype(np.int64)
        counts += np.bincount(levels.ravel(), minlength=len(counts))
    headroom = _headroom(counts, most)
    for band in bands:
        light = to_light(values[band].astype(np.float32) / np.float32(scale), sensor)
        codes = srgb_encode(roll_off(light.clip(max=headroom), headroom))
        values[band] = np.rint(codes * 65535).astype(np.uint16)
    return values, headroom


def _headroom(counts: NDArray[np.int64], most: float) -> float:
    """Return the headroom of a picture, from a histogram of its light from 0 to `most`.

    Light that the camera held lies below `SATURATED` of it, unless the picture has all that the
    camera can hold.
    """
    share = counts.cumsum() / max(int(counts.sum()), 1)
    level = int(np.searchsorted(share, _BRIGHT)) + 1
    return min(max(1.0, level * most / (len(counts) - 1) / SATURATED), max(most, 1.0))


def to_light(values: Light, sensor: Sensor) -> Light:
    """Return linear sRGB light, 1.0 where the first channel clips.

    Args:
        values: R×W×3 float32 in the camera's colours, 1.0 where the first channel clips.
        sensor: of the picture.

    Returns:
        R×W×3 float32, from 0 to the largest clip point.
    """
    restored = restore_clipped(values, sensor.clips)
    light = restored @ sensor.to_srgb.T.astype(np.float32)
    return light.clip(0, max(sensor.clips))


def restore_clipped(values: Light, clips: tuple[float, ...]) -> Light:
    """Estimate clipped channels from those that hold, as of neutral light, which highlights are.

    Args:
        values: R×W×3 float32, white-balanced: neutral light is the same in all channels.
        clips: value of each channel at which it clips.

    Returns:
        R×W×3 float32; channels that hold are not changed. Where none does, all have the largest
        clip point.
    """
    limits = np.array(clips, np.float32)
    lost = ((values / limits - _HOLDS) / (_CLIPPED - _HOLDS)).clip(0, 1)
    held = 1 - lost
    known = (held * values).sum(-1, keepdims=True) + np.float32(_TRUST * limits.max())
    estimate = known / (held.sum(-1, keepdims=True) + np.float32(_TRUST))
    return values + lost * np.maximum(estimate - values, 0)
