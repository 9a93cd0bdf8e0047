"""Write contact sheets of pictures before and after correction, the worst first.

    python -m benchmarks.sheets --out FOLDER --photos ../shared/data/photos_dev
    python -m benchmarks.sheets --out FOLDER --hdr ../shared/data/hdr_val
    python -m benchmarks.sheets --out FOLDER --panoramas ../shared/data/hdr_val
    python tests/high_key.py KEPT; python -m benchmarks.sheets --out FOLDER --alone KEPT

Writes PNG files: photos.png (input, result), views.png and panoramas.png (input, result, true LDR),
and alone.png (input, result) for pictures that should stay unchanged. Where there is a true LDR, or
where nothing should change, the three worst pictures come first, with a mark: those of the lowest
PSNR, or of the largest mean change.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from drht_plugin import Corrector
from drht_plugin.evaluation.datasets import Codes, LazyItem
from drht_plugin.evaluation.metrics import psnr
from drht_plugin.evaluation.panoramas import Panoramas
from drht_plugin.evaluation.views import Views
from drht_plugin.io import read_picture, upright

Sheet = npt.NDArray[np.uint8]

_CAPTION = 18
_WORST = 3


@dataclass(frozen=True)
class Entry:
    """Pictures of one size to show side by side, and how bad the result is, if known."""

    name: str
    pictures: tuple[Codes, ...]
    badness: float | None = None
    said: str = ""


def photographs(folder: Path, corrector: Corrector, *, to_stay: bool) -> Iterator[Entry]:
    """Yield input and result of each picture; with `to_stay`, any change is bad."""
    for path in sorted(folder.glob("*.[jp][pn]g")):
        ldr = np.ascontiguousarray(upright(read_picture(path))[..., :3])
        scene = corrector.survey(ldr)
        made = corrector.render(scene, ldr)
        said = "left alone" if scene.left_alone else ""
        change = float(np.abs(made.astype(np.float32) - ldr).mean())
        if to_stay:
            yield Entry(path.stem, (ldr, made), change, f"{change:.1f} codes {said}")
        else:
            yield Entry(path.stem, (ldr, made), said=said)


def with_truth(items: Sequence[LazyItem], corrector: Corrector) -> Iterator[Entry]:
    """Yield input, result and true LDR of each item."""
    for lazy in items:
        item = lazy.load()
        scene = corrector.survey(item.ldr, wrap=item.wrap)
        made = corrector.render(scene, item.ldr)
        decibels = psnr(made, item.reference)
        said = f"{decibels:.1f} dB" + (" left alone" if scene.left_alone else "")
        yield Entry(item.name, (item.ldr, made, item.reference), -decibels, said)


def sheet(entries: Sequence[Entry], across: int, size: int, every: int) -> Sheet:
    """Draw a sheet: the three worst entries, if known, then one in `every` entries.

    Args:
        entries: the entries.
        across: entries per row.
        size: longer side of each picture in pixels.
        every: step from one entry to the next.

    Returns:
        The sheet, H×W×3 uint8.
    """
    known = [entry for entry in entries if entry.badness is not None]
    worst = sorted(known, key=lambda entry: -(entry.badness or 0))[:_WORST]
    cells = [_cell(entry, size, "WORST: ") for entry in worst]
    cells += [_cell(entry, size) for entry in entries[::every]]
    height, width = (max(cell.shape[axis] for cell in cells) for axis in (0, 1))
    blank = np.zeros((height, width, 3), np.uint8)
    padded = [_padded(cell, blank) for cell in cells]
    padded += [blank] * (-len(padded) % across)
    rows = [np.concatenate(padded[i : i + across], 1) for i in range(0, len(padded), across)]
    return np.concatenate(rows)


def _cell(entry: Entry, size: int, mark: str = "") -> Sheet:
    scale = size / max(entry.pictures[0].shape[:2])
    shown = [
        cv2.resize(_codes(p), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for p in entry.pictures
    ]
    strip = np.concatenate(shown, 1)
    caption = np.zeros((_CAPTION, strip.shape[1], 3), np.uint8)
    text = f"{mark}{entry.name} {entry.said}"
    cv2.putText(caption, text, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return np.concatenate([caption, strip])


def _codes(picture: Codes) -> Sheet:
    """Convert a picture of 8 or 16 bits to 8 bits."""
    return (picture / (np.iinfo(picture.dtype).max / 255)).round().astype(np.uint8)


def _padded(cell: Sheet, blank: Sheet) -> Sheet:
    result = blank.copy()
    result[: cell.shape[0], : cell.shape[1]] = cell
    return result


def main() -> None:
    """Correct the pictures and write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder for the sheets"
    )
    parser.add_argument("--photos", type=Path, help="folder of photographs")
    parser.add_argument("--hdr", type=Path, help="folder of HDR images, for views (seed 7)")
    parser.add_argument("--panoramas", type=Path, help="folder of HDR images, for whole panoramas")
    parser.add_argument("--alone", type=Path, help="folder of pictures that should stay unchanged")
    parser.add_argument("--count", type=int, default=200, help="number of views (default: 200)")
    parser.add_argument(
        "--every", type=int, default=7, help="show one view in this many (default: 7)"
    )
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    corrector = Corrector(model=options.model)

    def save(name: str, entries: Iterator[Entry], across: int, size: int, every: int = 1) -> None:
        file = options.out / f"{name}.png"
        cv2.imwrite(str(file), sheet(list(entries), across, size, every)[..., ::-1])
        print(file)

    if options.photos:
        save("photos", photographs(options.photos, corrector, to_stay=False), 3, 280)
    if options.alone:
        save("alone", photographs(options.alone, corrector, to_stay=True), 3, 280)
    if options.hdr:
        items = Views(options.hdr, 7, options.count).items()
        save("views", with_truth(items, corrector), 2, 280, options.every)
    if options.panoramas:
        items = Panoramas(options.panoramas, 7).items()
        save("panoramas", with_truth(items, corrector), 2, 320)


if __name__ == "__main__":
    main()
