"""Measure what the correction does to clipped highlights: their colour and the steps at their edge.

    python -m benchmarks.clipped ../shared/data/photos_dev [--sheet clipped.png]

Pixels are clipped if all channels of the input are 254 or more, in connected areas of 64 pixels or
more. Their surroundings are the unclipped pixels within 8 pixels. Prints two figures for each
photograph, in codes: the excess of the chroma (√(Cb² + Cr²), BT.601) of clipped pixels over that of
their surroundings' mean colour; and the luma step across the border of a clipped area, where the
step of the input is at most 3 codes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from drht_plugin import Corrector
from drht_plugin.io import read_picture, upright

Picture = npt.NDArray[np.float32]

_CLIPPED = 254
_SMALLEST_AREA = 64
_REACH = 8
_SMOOTH = 3
_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


def clipped_areas(ldr: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return H×W bools: pixels in large enough areas that are clipped in all channels."""
    mask = (ldr.min(-1) >= _CLIPPED).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    large = stats[:, cv2.CC_STAT_AREA] >= _SMALLEST_AREA
    large[0] = False
    return large[labels]


def excess_chroma(picture: Picture, clipped: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return each clipped pixel's chroma above that of its surroundings' mean colour, in codes."""
    ycc = picture @ _YCC.T
    size = 4 * _REACH + 1
    near = cv2.dilate(clipped.astype(np.uint8), np.ones((2 * _REACH + 1,) * 2, np.uint8)) > 0
    ring = (near & ~clipped).astype(np.float32)
    total = cv2.boxFilter(ycc * ring[..., None], -1, (size, size), normalize=False)
    count = cv2.boxFilter(ring, -1, (size, size), normalize=False)
    known = clipped & (count > 0)
    mean = total[known][:, 1:] / count[known][:, None]
    return np.hypot(*ycc[known][:, 1:].T) - np.hypot(*mean.T)


def border_steps(
    ldr: npt.NDArray[np.uint8], picture: Picture, clipped: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return the luma steps in codes between clipped pixels and neighbours nearly as bright."""
    luma = picture @ _YCC[0]
    bright = ldr.min(-1).astype(int)
    steps = []
    for axis in (0, 1):
        first, second = [slice(None)] * 2, [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(first), tuple(second)
        at = (clipped[a] != clipped[b]) & (np.abs(bright[a] - bright[b]) <= _SMOOTH)
        steps.append(np.abs(luma[a] - luma[b])[at])
    return np.concatenate(steps)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument("--model", default="default")
    parser.add_argument("--detail", default="guided", choices=("guided", "network"))
    parser.add_argument(
        "--sheet", type=Path, help="PNG to write, with inputs and results side by side"
    )
    options = parser.parse_args()
    corrector = Corrector(model=options.model)
    rows, cells = [], []
    print("photograph                 clipped %  chroma over (mean, p95)  step (median, p95)")
    for path in sorted(options.photos.glob("*.[jp][pn]g")):
        ldr = np.ascontiguousarray(upright(read_picture(path))[..., :3])
        clipped = clipped_areas(ldr)
        made = corrector.correct(ldr, detail=options.detail)
        cells.append(_cell(ldr, made))
        if clipped.mean() < 0.001:
            continue
        picture = made.astype(np.float32)
        chroma, steps = excess_chroma(picture, clipped), border_steps(ldr, picture, clipped)
        figures = [100 * clipped.mean(), chroma.mean(), np.quantile(chroma, 0.95)]
        figures += [np.median(steps), np.quantile(steps, 0.95)] if steps.size else [0.0, 0.0]
        rows.append(figures)
        share, mean, most, step, largest = figures
        print(
            f"{path.stem[:26]:26} {share:9.1f} {mean:12.1f} {most:8.1f} {step:15.1f} {largest:6.1f}"
        )
    print(f"mean of {len(rows)}", np.round(np.mean(rows, 0), 1))
    if options.sheet:
        cv2.imwrite(str(options.sheet), np.concatenate(cells)[..., ::-1])


def _cell(ldr: npt.NDArray[np.uint8], made: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    scale = 360 / max(ldr.shape[:2])
    both = [
        cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in (ldr, made)
    ]
    cell = np.zeros((360, 720, 3), np.uint8)
    for i, p in enumerate(both):
        cell[: p.shape[0], 360 * i : 360 * i + p.shape[1]] = p
    return cell


if __name__ == "__main__":
    main()
