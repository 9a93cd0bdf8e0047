"""Golden pairs: the part in data/, and all of them where ../shared/golden is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from numpy.typing import NDArray

PART = Path(__file__).parent / "data"
ALL = Path(__file__).parents[4] / "shared" / "golden"

Golden = dict[str, Any]


def values(name: str) -> list[Any]:
    """Parameters for each entry of a list in each folder; skipped where the folder is not."""
    return _parameters(lambda folder: json.loads((folder / name).read_text("utf-8")), _entry_name)


def bands() -> list[Any]:
    """Parameters for each pair whose HDR-VDP-2 bands are recorded."""

    def entries(folder: Path) -> list[Golden]:
        by_pair = intermediates(folder)["bands rgb-bt.709 ppd30"]
        refs = {e["pair"]: e["ref"] for e in json.loads((folder / "hdr_golden.json").read_text())}
        return [{"pair": pair, "ref": refs[pair], "bands": by_pair[pair]} for pair in by_pair]

    return _parameters(entries, _entry_name)


def intermediates(folder: Path = PART) -> Golden:
    """HDR-VDP-2's and PU21's intermediate values."""
    recorded: Golden = json.loads((folder / "hdrvdp2_intermediates.json").read_text("utf-8"))
    return recorded


def hdr(folder: Path, name: str) -> NDArray[np.float32]:
    """An HDR image by name, reference or test: H×W×3 in cd/m²."""
    for file in ("hdr_refs.npz", "hdr_tests.npz"):
        with np.load(folder / file) as images:
            if name in images:
                image: NDArray[np.float32] = images[name]
                return image
    raise KeyError(name)


def ldr(folder: Path, name: str) -> NDArray[np.uint8]:
    """An 8-bit sRGB image by name: H×W×3."""
    return np.asarray(iio.imread(folder / f"{name}.png"), dtype=np.uint8)


def _entry_name(entry: Golden) -> str:
    return str(entry.get("pair") or f"{entry['hdr']}-{entry['ldr']}")


def _parameters(
    entries: Callable[[Path], list[Golden]], name: Callable[[Golden], str]
) -> list[Any]:
    parameters = []
    for folder, label in ((PART, "part"), (ALL, "all")):
        if folder.is_dir():
            parameters += [
                pytest.param(folder, entry, id=f"{label}-{name(entry)}")
                for entry in entries(folder)
            ]
        else:
            skip = pytest.mark.skip(reason=f"{folder.parent.name}/{folder.name} is absent")
            parameters.append(pytest.param(folder, {}, id=label, marks=skip))
    return parameters
