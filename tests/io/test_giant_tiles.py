"""Tiles that are as large as the picture, or larger, are read in pieces."""

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
import pyvips

from drht_plugin import io
from drht_plugin.errors import ReadError
from drht_plugin.io import _deflate_tiles, _plain_tiff

_HEIGHT, _WIDTH = 300, 500
_READS = (slice(0, 7), slice(7, 100), slice(100, 300, 9), slice(0, 300), slice(3, 5))


def write(path: Path, pixels: Any, side: int, **options: Any) -> None:
    """Write tiles with libvips."""
    image = pyvips.Image.new_from_array(pixels)
    image.tiffsave(str(path), tile=True, tile_width=side, tile_height=side, **options)


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes tiles of some kilobytes count as giant ones."""
    monkeypatch.setattr(_deflate_tiles, "_GIANT", 1000)
    monkeypatch.setattr(_deflate_tiles, "_PIECE_BYTES", 30_000)
    monkeypatch.setattr(_plain_tiff, "_TILE_PIECE", 5000)


@pytest.mark.parametrize(
    ("dtype", "predictor", "channels", "side"),
    [
        *itertools.product(("uint8", "uint16"), ("none", "horizontal"), (1, 3), (128, 512)),
        *itertools.product(("float32",), ("none", "float"), (1, 3), (128, 512)),
    ],
)
@pytest.mark.usefixtures("in_pieces")
def test_deflated(dtype: str, predictor: str, channels: int, side: int, tmp_path: Path) -> None:
    """All rows, steps and returns are those that were written, whatever the predictor."""
    pixels = made.values(channels, dtype, _HEIGHT, _WIDTH)
    write(tmp_path / "a.tif", pixels, side, compression="deflate", predictor=predictor)
    with io.open_picture(tmp_path / "a.tif") as file:
        for rows in _READS:
            assert np.array_equal(file[rows], pixels[rows])


@pytest.mark.parametrize("dtype", ["uint16", "float16", "float32"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.usefixtures("in_pieces")
def test_both_byte_orders(dtype: str, order: str, compression: str | None, tmp_path: Path) -> None:
    """Either byte order, and half floats, give the pixels that were written; so do plain tiles."""
    pixels = made.values(3, dtype, _HEIGHT, _WIDTH)
    options = {"byteorder": order, "tile": (128, 256), "compression": compression}
    made.tiff(tmp_path / "a.tif", pixels, **options)
    with io.open_picture(tmp_path / "a.tif") as file:
        for rows in _READS:
            assert np.array_equal(file[rows], pixels[rows])


def test_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Giant tiles go through the reader tested here; a library reads smaller ones."""
    opened: list[tuple[int, int]] = []

    class Noted(_deflate_tiles.DeflatedTilesReader):
        def __init__(self, path: Path, tiles: _deflate_tiles.DeflatedTiles) -> None:
            opened.append(tiles.tile)
            super().__init__(path, tiles)

    monkeypatch.setattr(_deflate_tiles, "DeflatedTilesReader", Noted)
    for side in (512, 4208):
        path = tmp_path / f"{side}.tif"
        write(path, np.zeros((4200, 4200, 1), np.uint8), side, compression="deflate")
        with io.open_picture(path) as file:
            assert not file[:40].any()
    assert opened == [(4208, 4208)]


@pytest.mark.usefixtures("in_pieces")
def test_damage(tmp_path: Path) -> None:
    """A damaged tile is an error; where damage is kept, the rows above it are there."""
    pixels = made.values(1, "uint8", _HEIGHT, _WIDTH)
    write(tmp_path / "a.tif", pixels, 512, compression="deflate")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    middle = data.index(b"\x78") + len(data) // 2
    data[middle : middle + 400] = bytes(400)
    (tmp_path / "a.tif").write_bytes(data)
    with io.open_picture(tmp_path / "a.tif") as file, pytest.raises(ReadError, match=r"a\.tif: "):
        _ = file[:]
    with io.open_picture(tmp_path / "a.tif", damaged="keep") as file:
        kept = file[:]
    assert np.array_equal(kept[:50], pixels[:50])


@pytest.mark.parametrize("tile", [False, True])
def test_memory(tile: bool, tmp_path: Path) -> None:
    """A tile or strip of 200 MB is read in a tenth of that."""
    side = 14336
    image = pyvips.Image.black(side, side)
    image.tiffsave(
        str(tmp_path / "a.tif"),
        tile=tile,
        tile_width=side,
        tile_height=side,
        compression="deflate",
    )
    code = """
import resource, sys
from drht_plugin import io
with io.open_picture(sys.argv[1]) as file:
    _ = file[0:1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for top in range(0, file.shape[0], 128):
        _ = file[top : top + 128]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.tif"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(run.stdout) < 20 << 10
