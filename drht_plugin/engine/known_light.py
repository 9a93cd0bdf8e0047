"""Light above the clip point that a picture holds, as camera raw does, in the survey and in H.

The pixels of such a picture are rolled off into the display range (see `bridge.roll_off`). The
first network sees what it was trained on: the picture clipped at H = 1. Its estimate counts only
where the camera held nothing more; elsewhere the light that is known takes its place, so that T is
made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.bridge.roll_off import SATURATED, undo_roll_off

FloatArray = npt.NDArray[np.float32]

KnowingNetworks = Callable[..., tuple[FloatArray, FloatArray]]
"""Function from a display-encoded picture h×w×3, and what is known of its y, to y and T; see
`model.runner.Runner`."""


KnownY = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Function from an overview, h×w×3 float32 sRGB codes, to its true y, h×w×3 float32, and how far
that may be more, h×w×1 float32 in 0..1."""


def with_known_light(
    load: Callable[[], KnowingNetworks], headroom: float, known: KnownY | None = None
) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """Return networks that take pictures with light above the clip point.

    Args:
        load: returns networks that take pictures clipped at H = 1.
        headroom: largest light that the pictures hold; 1 where that is the clip point.
        known: what else is known of their y; None for nothing.
    """

    def run(ldr: FloatArray) -> tuple[FloatArray, FloatArray]:
        if known is not None:
            return load()(ldr, known(ldr))
        if headroom <= 1:
            return load()(ldr)
        light = known_light(ldr, headroom)
        clipped = transfer.srgb_encode(light.clip(0, 1)).astype(np.float32)
        y = transfer.to_ldr_domain(light).astype(np.float32)
        return load()(clipped, (y, _saturation(light, headroom)))

    return run


def known_light(codes: FloatArray, headroom: float) -> FloatArray:
    """Return the light of rolled-off display codes.

    Args:
        codes: float32 in 0..1, of any shape.
        headroom: largest light that they hold, 1 or more.

    Returns:
        H, float32; 1.0 is the clip point.
    """
    return undo_roll_off(transfer.srgb_decode(codes), headroom).astype(np.float32)


def _saturation(light: FloatArray, headroom: float) -> FloatArray:
    """Return how far there may be more light than is known: h×w×1 float32 in 0..1.

    Args:
        light: h×w×n, H.
        headroom: largest light that the picture holds.
    """
    most = light.max(-1, keepdims=True) / headroom
    return ((most - SATURATED) / (1 - SATURATED)).clip(0, 1).astype(np.float32)


class KnownLightSink:
    """Sink of the HDR estimate that puts known light in its place, and passes it on.

    Args:
        sink: takes float32 rows R×W×3.
        pixels: the picture, which is sliced by rows; display codes, rolled off.
        headroom: largest light that they hold.
    """

    def __init__(self, sink: Any, pixels: Any, headroom: float) -> None:
        self._sink, self._pixels, self._headroom = sink, pixels, headroom
        self.shape, self.dtype = sink.shape, sink.dtype

    def __setitem__(self, rows: slice, radiance: FloatArray, /) -> None:
        """Store rows ``top:bottom``."""
        stored = self._pixels[rows]
        white = np.float32(np.iinfo(stored.dtype).max if stored.dtype.kind == "u" else 1)
        light = known_light(stored.astype(np.float32) / white, self._headroom)
        colours = light[..., :3] if light.shape[2] > 2 else light[..., :1]
        more = _saturation(colours, self._headroom) * np.maximum(radiance - colours, 0)
        self._sink[rows] = (colours + more).astype(np.float32)
