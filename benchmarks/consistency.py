"""Measure whether results depend on tiles or on the picture's size, on real photographs.

    python -m benchmarks.consistency ../shared/data/photos_dev

Compares network detail in tiles of 1024 pixels with the picture in one tile, in 8-bit codes, and
the steps across tile borders with steps elsewhere, relative to the untiled result. Then compares
the tone of a picture at 0.25, 1, 4 and 24 megapixels, reduced to the smallest size. Pictures below
12 megapixels are enlarged; the table says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from drht_plugin import Corrector
from drht_plugin.engine.render.network.windows import TILE, NetworkRenderer
from drht_plugin.io import read_picture, upright

Image = npt.NDArray[np.uint8]

_SIZES = (0.25, 1.0, 4.0, 24.0)
_SHAPES = {"as it is": None, "5:1": 5.0, "1:3": 1 / 3}


def _resized(image: Image, megapixels: float) -> Image:
    """Resize a picture to a number of megapixels."""
    height, width = image.shape[:2]
    factor = (megapixels * 1e6 / (height * width)) ** 0.5
    return _to(image, (max(1, round(height * factor)), max(1, round(width * factor))))


def _to(image: Image, size: tuple[int, int]) -> Image:
    """Resize a picture to a height and width; a reduction averages linear light."""
    height, width = size
    if height >= image.shape[0]:
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC))
    light = (image.astype(np.float32) / 255) ** 2.2
    small = cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA)
    return np.rint(255 * small ** (1 / 2.2)).astype(np.uint8)


def _shaped(image: Image, aspect: float | None) -> Image:
    """Crop the middle of a picture to an aspect ratio (width over height)."""
    if aspect is None:
        return image
    height, width = image.shape[:2]
    across, down = min(width, round(height * aspect)), min(height, round(width / aspect))
    top, left = (height - down) // 2, (width - across) // 2
    return np.ascontiguousarray(image[top : top + down, left : left + across])


def _steps(image: Image, borders: npt.NDArray[Any], axis: int) -> float:
    """Return the mean step across tile borders relative to the mean of all steps."""
    steps = np.abs(np.diff(image.astype(np.int16), axis=axis)).mean(axis=(1 - axis, 2))
    return float(steps[borders - 1].mean() / max(float(steps.mean()), 1e-9))


def tiles(corrector: Corrector, files: list[Path]) -> None:
    """Compare tiled with untiled network detail."""
    print("picture                          MP   largest   mean difference   border steps")
    for file in files:
        image = np.ascontiguousarray(upright(read_picture(file))[..., :3])
        native = image.shape[0] * image.shape[1] / 1e6
        image = image if native >= 12 else _resized(image, 12)
        scene = corrector.survey(image)
        tiled = corrector.render(scene, image, detail="network")
        whole = corrector.render(scene, image, detail="network", tile=2 * max(image.shape))
        difference = np.abs(tiled.astype(np.int16) - whole)
        cut = NetworkRenderer.tiling_of(scene.spec, TILE, wrap=False)
        ratios = []
        for axis, cuts in ((0, cut.rows), (1, cut.columns)):
            if cuts.count > 1:
                borders = np.arange(1, cuts.count) * cuts.step
                ratios.append(_steps(tiled, borders, axis) / _steps(whole, borders, axis))
        note = "" if native >= 12 else f" (of {native:.1f} MP)"
        print(
            f"{file.stem[:30]:30} {image.shape[0] * image.shape[1] / 1e6:5.1f} "
            f"{difference.max():8d} {difference.mean():17.5f} {np.mean(ratios):14.4f}{note}"
        )


def sizes(corrector: Corrector, files: list[Path]) -> None:
    """Compare the results of a picture at several sizes, in guided detail.

    Prints the difference of pixels and, in brackets, of means over 16×16 pixels. They differ by
    noise: the mean of lifted noise is not the lifted mean.
    """
    print("\npicture                        shape     mean difference from 0.25 MP at 1, 4, 24 MP")
    for file in files:
        image = np.ascontiguousarray(upright(read_picture(file))[..., :3])
        for name, aspect in _SHAPES.items():
            picture = _resized(_shaped(image, aspect), _SIZES[-1])
            smallest = _resized(picture, _SIZES[0])
            reference = corrector.correct(smallest, detail="guided").astype(np.int16)
            shown = []
            for size in _SIZES[1:]:
                given = picture if size == _SIZES[-1] else _resized(picture, size)
                made = _to(corrector.correct(given, detail="guided"), smallest.shape[:2])
                off = made - reference
                shown.append((float(np.abs(off).mean()), float(np.abs(_means(off)).mean())))
            row = "  ".join(f"{fine:6.2f} ({coarse:.2f})" for fine, coarse in shown)
            print(f"{file.stem[:30]:30} {name:8} {row}")


def _means(picture: npt.NDArray[np.int16], side: int = 16) -> npt.NDArray[np.float64]:
    """Return the means over all squares that lie inside the picture."""
    rows, columns = (length // side for length in picture.shape[:2])
    squares = picture[: rows * side, : columns * side].reshape(rows, side, columns, side, -1)
    means: npt.NDArray[np.float64] = squares.mean((1, 3))
    return means


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument(
        "--count", type=int, default=10, help="number of pictures, the largest ones (default: 10)"
    )
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    found = [p for p in options.photos.iterdir() if p.suffix.lower() in (".jpg", ".png")]
    largest = sorted(found, key=lambda p: p.stat().st_size, reverse=True)[: options.count]
    corrector = Corrector(model=options.model)
    tiles(corrector, largest)
    sizes(corrector, largest[:4])


if __name__ == "__main__":
    main()
