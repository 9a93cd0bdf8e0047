"""Real pairs of input and reference, listed in a CSV manifest."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from drht_plugin.errors import InputError, ReadError
from drht_plugin.evaluation.datasets import Codes, FloatArray, Item, LazyItem

_REQUIRED = ("input", "ref_ldr")
_GROUPS = ("kind", "tag")
_NEVER_GROUPS = re.compile(r"input|ref_ldr|hdr|exposure_scale|scene|.*licen[cs]e.*")
_MOST_VALUES = 12
_LONGEST_LABEL = 32

Row = Mapping[str, str]


@dataclass(frozen=True)
class Pairs:
    """Data set of the rows of a manifest; file names are relative to it.

    The columns `input` and `ref_ldr` name the pictures. Optionally, `hdr` names an HDR image and
    `exposure_scale` gives its scale (hdr · exposure_scale = H); an image without a scale is
    ignored, because its exposure is unknown. The tables are grouped by the columns `kind` and
    `tag`, and by every other column of labels: 2 to 12 different short texts, at least one of them
    repeated, that are not numbers, paths or licences.

    Attributes:
        manifest: the CSV file.
    """

    manifest: Path

    def items(self) -> list[LazyItem]:
        """Return an item per row; loading raises ReadError if its files cannot be used.

        Raises:
            InputError: the manifest cannot be read, lacks a column or has no rows, or a row is
                incomplete or repeated or has an `exposure_scale` that is not a number above 0.
        """
        rows = _rows(self.manifest)
        columns = group_columns(rows)
        return [
            LazyItem(row["input"], partial(_pair, self.manifest.parent, row, columns))
            for row in rows
        ]

    def describe(self) -> dict[str, Any]:
        """Return the manifest's folder and file name, and its SHA-256."""
        return {
            "pairs": "/".join(self.manifest.resolve().parts[-2:]),
            "sha256": hashlib.sha256(self.manifest.read_bytes()).hexdigest(),
        }


def _rows(manifest: Path) -> list[Row]:
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, strict=True)
            columns = list(reader.fieldnames or [])
            rows: list[Row] = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: cannot be read as a CSV manifest ({error})") from error
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise InputError(f"{manifest}: has no column {', '.join(missing)}; found {columns}")
    if not rows:
        raise InputError(f"{manifest}: has no rows")
    first: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        why = _fault(row)
        if not why and row["input"] in first:
            why = f"repeats the input of row {first[row['input']]}"
        if why:
            raise InputError(f"{manifest}: row {number} {why}")
        first[row["input"]] = number
    return rows


def _fault(row: Mapping[Any, Any]) -> str:
    """Return what is wrong with a row, or an empty text."""
    if None in row or None in row.values():
        return "has more or fewer values than there are columns"
    empty = [name for name in _REQUIRED if not row[name]]
    if empty:
        return f"has no {', '.join(empty)}"
    scale = row.get("exposure_scale")
    if scale and not (_is_number(scale) and 0 < float(scale) < math.inf):
        return f"has exposure_scale {scale!r}; expected a number above 0"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def group_columns(rows: Sequence[Row]) -> list[str]:
    """Return the columns whose values group the tables.

    Args:
        rows: rows of the manifest, at least one.

    Returns:
        Column names in the manifest's order, see `Pairs`.
    """
    return [name for name in rows[0] if _groups([row[name] for row in rows], name)]


def _groups(values: Sequence[str], name: str) -> bool:
    """Return whether a column groups the tables."""
    counts = Counter(value for value in values if value)
    if len(counts) < 2 or _NEVER_GROUPS.fullmatch(name.lower()):
        return False
    if name in _GROUPS:
        return True
    labels = all(
        len(v) <= _LONGEST_LABEL and not re.search(r"[/\\]", v) and not _is_number(v)
        for v in counts
    )
    return labels and len(counts) <= _MOST_VALUES and max(counts.values()) > 1


def _pair(folder: Path, row: Row, columns: Sequence[str]) -> Item:
    ldr = _read_display(folder, row["input"])
    reference = _read_display(folder, row["ref_ldr"])
    _require_same_size(reference, row["ref_ldr"], ldr)
    radiance = None
    if row.get("hdr") and row.get("exposure_scale"):
        hdr = _read_linear(folder, row["hdr"])
        _require_same_size(hdr, row["hdr"], ldr)
        radiance = hdr * np.float32(row["exposure_scale"])
    groups = {name: row[name] for name in columns if row[name]}
    return Item(row["input"], groups, ldr, reference, radiance)


def _require_same_size(image: np.ndarray, name: str, ldr: np.ndarray) -> None:
    if image.shape != ldr.shape:
        raise ReadError(
            f"{name}: is {image.shape[1]}×{image.shape[0]}, the input "
            f"{ldr.shape[1]}×{ldr.shape[0]}; expected the same size"
        )


def _read_display(folder: Path, name: str) -> Codes:
    """Read an 8- or 16-bit picture upright as RGB.

    Alpha is dropped rather than applied, because correction does not change it.
    """
    pixels = _read_upright(folder / name, "srgb")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ReadError(f"{name}: holds {pixels.dtype}; inputs and references have 8 or 16 bits")
    return pixels


def _read_linear(folder: Path, name: str) -> FloatArray:
    """Read radiance as float32, with negative values set to 0."""
    pixels = _read_upright(folder / name, "linear").astype(np.float32)
    if not np.isfinite(pixels).all():
        raise ReadError(f"{name}: holds NaN or infinity; expected finite radiance")
    return np.maximum(pixels, 0)  # lossy codecs may produce small negative values


def _read_upright(path: Path, transfer: str) -> Any:
    from drht_plugin.io import read_picture, upright

    picture = read_picture(path)
    if picture.transfer != transfer:
        known = {"srgb": "a display-encoded picture", "linear": "an HDR image"}
        raise ReadError(f"{path.name}: is {known[picture.transfer]}; expected {known[transfer]}")
    pixels = upright(picture)
    colours = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, 2)
    return np.ascontiguousarray(colours)
