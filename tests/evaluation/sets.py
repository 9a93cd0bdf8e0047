"""Tiny data sets for tests, made in a folder of theirs."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from drht_plugin.io import write_hdr

Codes = npt.NDArray[np.uint8]


def codes(seed: int, height: int = 40, width: int = 56) -> Codes:
    """A dark gradient with texture and one clipped corner, H×W×3."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0.05, 0.5, width)[None, :, None] * np.ones((height, 1, 3))
    picture = ramp * random.uniform(0.7, 1.0, 3) + random.normal(0, 0.02, (height, width, 3))
    picture[:8, -8:] = 1
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


def brighter(picture: Codes) -> Codes:
    """What a picture should have become."""
    return np.rint(255 * (picture / 255) ** 0.6).astype(np.uint8)


def save(path: Path, pixels: npt.NDArray[Any]) -> None:
    """Write RGB or RGBA pixels of 8 or 16 bits."""
    order = [2, 1, 0, 3][: pixels.shape[2]]
    assert cv2.imwrite(str(path), pixels[..., order])


def write_manifest(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows; a column that a row lacks is empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_pairs(folder: Path, count: int = 4, height: int = 40, width: int = 56) -> Path:
    """A manifest of pairs, every other one with its radiance, of two kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        picture = codes(i, height, width)
        save(folder / f"in{i}.png", picture)
        save(folder / f"ref{i}.png", brighter(picture))
        row: dict[str, object] = {"input": f"in{i}.png", "ref_ldr": f"ref{i}.png"}
        row["kind"] = "odd" if i % 2 else "even"
        row |= {"hdr": "", "exposure_scale": ""}
        if i % 2 == 0:
            write_hdr(folder / f"hdr{i}.exr", ((picture / 255) ** 2.2 * 4).astype(np.float32))
            row |= {"hdr": f"hdr{i}.exr", "exposure_scale": 0.25}
        rows.append(row)
    return write_manifest(folder / "manifest.csv", rows)


def make_hdr_folder(folder: Path, names: Sequence[str] = ("one", "two")) -> Path:
    """A folder of small HDR photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        radiance = np.exp2(np.random.default_rng(i).normal(-2, 2, (48, 72, 3))).astype(np.float32)
        write_hdr(folder / f"{name}.exr", radiance)
    return folder


def make_panorama_folder(folder: Path, names: Sequence[str] = ("one", "two")) -> Path:
    """A folder of small panoramas that go on across their edges, and one photograph."""
    make_hdr_folder(folder, ["a_photograph"])
    for i, name in enumerate(names):
        turn = np.linspace(0, 2 * np.pi, 128, endpoint=False) + i
        stops = 3 * np.cos(turn)[None] + np.linspace(2, -3, 64)[:, None]
        radiance = np.exp2(stops)[..., None] * np.array([1, 0.9, 0.8])
        write_hdr(folder / f"{name}.exr", radiance.astype(np.float32))
    return folder
