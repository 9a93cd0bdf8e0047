"""Make the gallery of the shipped weights' results, including failures.

    python examples/gallery.py ../shared/data/hdr_val [--count 200] [--sheet sheet.png]

Corrects the views of `drht evaluate --hdr` (seed 7) whose scenes' licence allows it. Writes strips
of input, result and true LDR into docs/pictures/gallery: the median view of each exposure class,
and the three worst views. Prints them as Markdown table rows.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from drht_plugin import Corrector
from drht_plugin.evaluation.metrics import psnr
from drht_plugin.evaluation.views import Views

FOLDER = Path(__file__).parents[1] / "docs" / "pictures" / "gallery"
HEIGHT = 240
FREE = ("CC0", "BSD")
WORST = 3

Strip = npt.NDArray[np.uint8]


def free_scenes(folder: Path) -> set[str]:
    """Return the names of the scenes whose licence allows redistribution."""
    with (folder / "manifest.csv").open(newline="") as rows:
        return {row["name"] for row in csv.DictReader(rows) if row["licence"].startswith(FREE)}


def strip(*pictures: npt.NDArray[np.uint8]) -> Strip:
    """Join pictures of one size side by side, `HEIGHT` pixels high."""
    scale = HEIGHT / pictures[0].shape[0]
    size = (round(pictures[0].shape[1] * scale), HEIGHT)
    return np.concatenate([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures], 1)


def codes(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Convert a picture of 8 or 16 bits to 8 bits."""
    return (picture / (np.iinfo(picture.dtype).max / 255)).round().astype(np.uint8)


def main() -> None:
    """Correct the views, choose some, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of HDR images with a manifest.csv")
    parser.add_argument("--count", type=int, default=200, help="number of views (default: 200)")
    parser.add_argument("--sheet", type=Path, help="PNG to write, with about twenty of the views")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    free = free_scenes(options.folder)
    corrector = Corrector(model=options.model)
    made: list[tuple[float, str, str, Strip]] = []
    for lazy in Views(options.folder, 7, options.count).items():
        if lazy.name.split("_", 1)[1].rsplit("_", 1)[0] not in free:
            continue
        item = lazy.load()
        corrected = corrector.correct(item.ldr)
        row = strip(codes(item.ldr), codes(corrected), codes(item.reference))
        made.append((psnr(corrected, item.reference), item.groups["class"], item.name, row))
    made.sort(key=lambda each: each[0])
    chosen = made[:WORST]
    for kind in ("under", "normal", "over"):
        of_kind = [each for each in made if each[1] == kind]
        chosen += of_kind[len(of_kind) // 2 :: len(of_kind)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.jpg"):
        old.unlink()
    for value, kind, name, row in chosen:
        cv2.imwrite(str(FOLDER / f"{name}.jpg"), row[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        print(f"| {kind}, {value:.1f} dB | ![{name}](pictures/gallery/{name}.jpg) |")
    if options.sheet:
        rows = [each[3] for each in made[:: max(1, len(made) // 20)]]
        width = max(row.shape[1] for row in rows)
        padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
        cv2.imwrite(str(options.sheet), np.concatenate(padded)[..., ::-1])


if __name__ == "__main__":
    main()
