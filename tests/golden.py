"""Reference results of the shipped weights on the example pictures.

`python tests/golden.py` writes `golden.npz` anew. Do so when new weights are shipped, or when a
change of the method changes pixels on purpose, and look at the pictures first: the tests that
read the file cannot tell better from worse. A change that should keep the pixels keeps the file.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from drht_plugin import Corrector
from drht_plugin.io import read_picture

FloatArray = npt.NDArray[np.float64]

FILE = Path(__file__).with_name("golden.npz")
PICTURES = Path(__file__).parents[1] / "examples/pictures"
NAMES = ("golden_gate_bright", "golden_gate_dark", "potsdamer_platz_dark", "st_fagans_window")
DETAILED = ("golden_gate_dark", "st_fagans_window")
"""Whose network detail is kept, too."""

TONE_BLOCK, DETAIL_BLOCK, DETAIL_SIDE = 32, 4, 128
"""Sides of the blocks whose means are kept, and of the middle of a picture in network detail."""

STEPS = 256
"""Steps to a code in which means are stored."""


def results(corrector: Corrector) -> dict[str, FloatArray]:
    """Block means of what a corrector makes of the pictures, in 8-bit codes.

    Args:
        corrector: on the CPU, so that it is like the one that the references are from.

    Returns:
        `NAME`: guided detail in blocks of `TONE_BLOCK`, h×w×3. `NAME.detail`: network detail less
        guided detail, in blocks of `DETAIL_BLOCK`, of the middle `DETAIL_SIDE` pixels.
    """
    means = {}
    for name in NAMES:
        image = read_picture(PICTURES / f"{name}.jpg").pixels
        scene = corrector.survey(image, wrap=name.startswith("potsdamer"))
        guided = corrector.render(scene, image, detail="guided").astype(np.float64)
        means[name] = block_means(guided, TONE_BLOCK)
        if name in DETAILED:
            network = corrector.render(scene, image, detail="network")
            means[f"{name}.detail"] = block_means(middle(network - guided), DETAIL_BLOCK)
    return means


def in_float32() -> AbstractContextManager[Any]:
    """Have networks on the CPU compute in float32 while this lasts, whatever the CPU is fast at."""
    return mock.patch("torch.cpu._is_avx512_bf16_supported", return_value=False)


def middle(image: FloatArray) -> FloatArray:
    """The middle `DETAIL_SIDE` × `DETAIL_SIDE` pixels."""
    top, left = ((length - DETAIL_SIDE) // 2 for length in image.shape[:2])
    return image[top : top + DETAIL_SIDE, left : left + DETAIL_SIDE]


def block_means(image: FloatArray, side: int) -> FloatArray:
    """Means of whole blocks of side × side pixels, from the top left."""
    rows, columns = (length // side for length in image.shape[:2])
    blocks = image[: rows * side, : columns * side]
    return blocks.reshape(rows, side, columns, side, -1).mean((1, 3))


def references() -> dict[str, FloatArray]:
    """What `results` was when the file was written."""
    with np.load(FILE) as stored:
        return {name: stored[name] / STEPS for name in stored}


if __name__ == "__main__":
    with in_float32():
        made = results(Corrector(device="cpu"))
    stored: dict[str, Any] = {name: np.rint(m * STEPS).astype(np.int32) for name, m in made.items()}
    np.savez_compressed(FILE, **stored)
