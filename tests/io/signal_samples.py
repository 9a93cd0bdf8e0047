"""Patches of colour, in a PNG with chunks of one's own."""

from pathlib import Path

import numpy as np
import png_bytes
from numpy.typing import NDArray


def colours() -> NDArray[np.uint8]:
    """Patches that lie inside sRGB in any of the spaces used, so that 8-bit CIELAB holds them."""
    random = np.random.default_rng(4)
    patches = random.integers(60, 200, (4, 6, 3)).astype(np.uint8)
    return patches.repeat(8, 0).repeat(8, 1)


def png(path: Path, *chunks: tuple[bytes, bytes], gray: bool = False) -> NDArray[np.uint8]:
    """Write patches as a PNG of such chunks; returns them."""
    pixels = colours()[..., :1] if gray else colours()
    path.write_bytes(
        png_bytes.png_bytes(pixels, colour_type=0 if gray else 2, bits=8, chunks=list(chunks))
    )
    return pixels
