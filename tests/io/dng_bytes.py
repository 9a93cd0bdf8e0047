"""DNG files of a known scene, by tifffile: a sensor behind red, green and blue filters."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

BLACK, WHITE = 512, 16383
_PATTERN = ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2))
_MATRIX = (
    *(3.2404542, -1.5371385, -0.4985314),
    *(-0.969266, 1.8760108, 0.041556),
    *(0.0556434, -0.2040259, 1.0572252),
)
"""From XYZ to the camera's colours, which are those of linear sRGB."""


def write_dng(
    path: Path,
    scene: NDArray[np.floating],
    *,
    neutral: tuple[float, float, float] = (0.25, 1.0, 0.35),
    orientation: int = 1,
    extra: tuple[Any, ...] = (),
) -> None:
    """Write what a camera makes of a scene.

    Args:
        path: of the file.
        scene: H×W×3 linear sRGB light; 1.0 is where the most sensitive channel clips in white
            light.
        neutral: what red, green and blue record of white light.
        orientation: tag of the file.
        extra: further fields, in tifffile's form.
    """
    height, width, _ = scene.shape
    mosaic = np.empty((height, width))
    for row, column, colour in _PATTERN:
        mosaic[row::2, column::2] = scene[row::2, column::2, colour] * neutral[colour]
    stored = np.rint(mosaic.clip(0, 1) * (WHITE - BLACK) + BLACK).astype(np.uint16)
    tags = [
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50707, "B", 4, bytes([1, 1, 0, 0]), True),
        (50708, "s", 0, "Test Camera", True),
        (50714, "H", 1, BLACK, True),
        (50717, "H", 1, WHITE, True),
        (50721, "2i", 9, _rationals(*_MATRIX), True),
        (50728, "2I", 3, _rationals(*neutral), True),
        (50778, "H", 1, 21, True),
        (271, "s", 0, "ACME", True),
        (272, "s", 0, "Camera 1", True),
        (274, "H", 1, orientation, True),
        *extra,
    ]
    tifffile.imwrite(path, stored, photometric=32803, extratags=tags, subfiletype=0, metadata=None)


def _rationals(*values: float) -> tuple[int, ...]:
    return tuple(n for value in values for n in (int(value * 10000), 10000))
