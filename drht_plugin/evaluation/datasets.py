"""What corrections are measured on: views of HDR images, or real pairs by a manifest."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.errors import InputError, ReadError

FloatArray = npt.NDArray[np.float32]

CLASSES: Mapping[str, tuple[float, float]] = {
    "under": (-3.3, -1.2),
    "normal": (-0.6, 0.6),
    "over": (1.0, 3.2),
}
"""Exposure classes of drawn views: EV relative to the metered exposure."""

_VIEW_SIDE = 320
_ASPECTS = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (16, 9))
_REQUIRED = ("input", "ref_ldr")
_GROUPS = ("kind", "tag")


@dataclass(frozen=True)
class Item:
    """One picture to correct and what it should have become.

    name: unique in its set; groups: column → value, for the table by group; ldr: H×W×3 uint8
    input; reference: H×W×3 uint8 display-encoded; radiance: H×W×3 float32 true H, 1.0 = the
    input's clip point, or None; known: H×W, where the source of the radiance is not clipped.
    """

    name: str
    groups: Mapping[str, str]
    ldr: npt.NDArray[np.uint8]
    reference: npt.NDArray[np.uint8]
    radiance: FloatArray | None = None
    known: npt.NDArray[np.bool_] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Lazy:
    """An item's name, and how it is made when its turn comes.

    `load` raises a `DrhtError` where it cannot be made.
    """

    name: str
    load: Callable[[], Item]


def drawn_views(folder: Path, seed: int, count: int) -> list[Lazy]:
    """Views of the HDR images of a folder, scenes and exposure classes in turn.

    View i shows scene i mod n in class i mod 3, at about 320² pixels (the resolution of a
    1024-pixel panorama); the same seed draws the same views.

    Raises:
        InputError: no HDR images, or a count below 1.
        ReadError: an image cannot be read.
    """
    from drht_plugin.training.scenes import load_scenes
    from drht_plugin.training.triplets import Photographer

    if count < 1:
        raise InputError(f"count is {count}; expected at least 1")
    scenes = load_scenes(folder)
    photographer = Photographer(scenes, seed)
    random = np.random.default_rng(seed)
    items = []
    for i in range(count):
        kind = list(CLASSES)[i % len(CLASSES)]
        shot = photographer.shot(float(random.uniform(*CLASSES[kind])))
        plan = replace(photographer.view(0, i % len(scenes)), shots=(shot,))
        across, down = _ASPECTS[int(random.integers(len(_ASPECTS)))]
        scale = _VIEW_SIDE / math.sqrt(across * down)
        size = 8 * round(down * scale / 8), 8 * round(across * scale / 8)
        name = f"{i:03d}_{scenes[i % len(scenes)].name}_{kind}"
        load = partial(_view, scenes, plan, size, name, kind, seed + i)
        items.append(Lazy(name, load))
    return items


def _view(
    scenes: Any, plan: Any, size: tuple[int, int], name: str, kind: str, noise_seed: int
) -> Item:
    import torch

    from drht_plugin.training.triplets import render_triplets

    noise = torch.Generator().manual_seed(noise_seed)
    triplet = render_triplets(scenes, [plan], *size, noise)

    def planes(tensor: Any) -> FloatArray:
        array: FloatArray = tensor[0].permute(1, 2, 0).contiguous().numpy()
        return array

    return Item(
        name=name,
        groups={"class": kind},
        ldr=_to_codes(planes(triplet.ldr)),
        reference=_to_codes(planes(triplet.true_ldr)),
        radiance=planes(triplet.true_hdr),
        known=planes(triplet.source_clipped)[..., 0] < 0.01,
    )


def _to_codes(picture: FloatArray) -> npt.NDArray[np.uint8]:
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


def pairs(manifest: Path) -> list[Lazy]:
    """Real pairs by a CSV manifest, paths relative to it.

    Columns `input` and `ref_ldr`; where present `hdr` and `exposure_scale` (hdr·exposure_scale =
    H), and `kind` and `tag`, which group the table.

    Raises:
        InputError: the manifest cannot be read, lacks a column, or has no rows.
    """
    try:
        with manifest.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines, strict=True)
            columns = reader.fieldnames or []
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: cannot be read as a CSV manifest ({error})") from error
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise InputError(f"{manifest}: has no column {', '.join(missing)}; found {columns}")
    if not rows:
        raise InputError(f"{manifest}: has no rows")
    for number, row in enumerate(rows, 2):
        if None in row or any(not row[name] for name in _REQUIRED):
            raise InputError(f"{manifest}: line {number} lacks a value or has too many: {row}")
    return [Lazy(row["input"], partial(_pair, manifest.parent, row)) for row in rows]


def _pair(folder: Path, row: Mapping[str, str]) -> Item:
    ldr = _read_rgb8(folder / row["input"])
    reference = _read_rgb8(folder / row["ref_ldr"])
    if ldr.shape != reference.shape:
        raise ReadError(
            f"{row['input']}: is {ldr.shape[1]}×{ldr.shape[0]}, its reference {row['ref_ldr']} "
            f"{reference.shape[1]}×{reference.shape[0]}; expected the same size"
        )
    radiance = None
    if row.get("hdr") and row.get("exposure_scale"):
        from drht_plugin.io import read_picture

        hdr = read_picture(folder / row["hdr"]).pixels[..., :3].astype(np.float32)
        if hdr.shape != ldr.shape:
            raise ReadError(f"{row['hdr']}: shape {hdr.shape}; its input has {ldr.shape}")
        radiance = np.maximum(hdr, 0) * np.float32(row["exposure_scale"])
    groups = {name: row[name] for name in _GROUPS if row.get(name)}
    return Item(row["input"], groups, ldr, reference, radiance)


def _read_rgb8(path: Path) -> npt.NDArray[np.uint8]:
    from drht_plugin.io import read_picture

    pixels = read_picture(path).pixels
    if pixels.dtype != np.uint8:
        raise ReadError(
            f"{path.name}: holds {pixels.dtype}; the evaluation compares 8-bit pictures"
        )
    colours = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, 2)
    return np.ascontiguousarray(colours)
