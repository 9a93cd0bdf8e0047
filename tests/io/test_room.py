"""Pictures that are decoded all at once are refused before they take memory that is not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drht_plugin import cli, correct_file, io
from drht_plugin.errors import ReadError
from drht_plugin.free_memory import Room
from drht_plugin.io import _decoders
from drht_plugin.io.metadata import jp2, jxl

SIDE = 3000


def write(path: Path, pixels: npt.NDArray[Any]) -> None:
    """Write a picture by OpenImageIO."""
    height, width, channels = pixels.shape
    target = oiio.ImageOutput.create(str(path))
    assert target is not None
    kind = {"float32": "float"}.get(pixels.dtype.name, pixels.dtype.name)
    assert target.open(str(path), oiio.ImageSpec(width, height, channels, kind))
    assert target.write_image(pixels)
    assert target.close()


def _vips(save: str, **options: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        image = (pyvips.Image.black(SIDE, SIDE, bands=3) + 90).cast("uchar")
        getattr(image, save)(str(path), **options)

    return write


def _heic(path: Path) -> None:
    package = pytest.importorskip("pillow_heif")
    size = (SIDE, SIDE)
    package.from_bytes("RGB", size, bytes([90]) * (3 * SIDE * SIDE)).save(path, quality=30)


def _oiio(path: Path) -> None:
    write(path, np.full((SIDE, SIDE, 3), 90, np.uint8))


def _tiles(path: Path) -> None:
    _vips("tiffsave", compression="lzw", tile=True, tile_width=SIDE + 8, tile_height=SIDE + 8)(path)


FLAT: dict[str, Callable[[Path], None]] = {
    "a.webp": _vips("webpsave"),
    "lossless.webp": _vips("webpsave", lossless=True),
    "a.avif": _vips("heifsave", compression="av1", effort=0),
    "a.heic": _heic,
    "a.jxl": _oiio,
    "a.jp2": _oiio,
    "a.gif": _vips("gifsave"),
    "interlaced.png": _vips("pngsave", interlace=True),
    "progressive.jpg": _vips("jpegsave", interlace=True),
    "tile.tif": _tiles,
}
"""Writers of small files that hold 27 MB of pixels, by name."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flat")


def made(files: Path, name: str) -> Path:
    """A file of `FLAT`, which is written once."""
    path = files / name
    if not path.exists():
        FLAT[name](path)
        assert path.stat().st_size < SIDE * SIDE * 3 / 50
    return path


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has 20 MB left."""
    monkeypatch.setattr(_decoders, "_ALWAYS", 1 << 20)
    monkeypatch.setattr(_decoders, "free_memory", lambda: Room(20 << 20, "free on this machine"))


@pytest.mark.parametrize("name", FLAT)
@pytest.mark.usefixtures("little")
def test_refused_by_name(name: str, files: Path) -> None:
    """The message says the picture's size, what it would take, and what there is."""
    with pytest.raises(ReadError) as caught:
        io.open_picture(made(files, name))
    side = SIDE + 8 if name == "tile.tif" else SIDE
    words = rf"{name}: has {side}×{side} pixels.* takes \d+ MB.* are 20 MB free on this machine"
    assert caught.match(words)


@pytest.mark.parametrize("name", FLAT)
def test_read_where_it_fits(name: str, files: Path) -> None:
    """The same files are read where there is room."""
    with io.open_picture(made(files, name)) as picture:
        rows = picture[SIDE - 10 : SIDE]
    assert rows.shape[:2] == (10, SIDE)
    assert np.abs(rows[..., :3].astype(int) - 90).max() <= 2


@pytest.mark.usefixtures("little")
def test_front_ends(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The library raises, the command ends with 1 and names the file, and neither leaves a file."""
    picture = made(files, "a.webp")
    with pytest.raises(ReadError, match="20 MB free"):
        correct_file(picture, tmp_path / "b.webp")
    assert cli.main(["correct", str(picture), "-o", str(tmp_path / "b.png")]) == 1
    assert "a.webp: has 3000×3000 pixels" in capsys.readouterr().err
    page = ["compare", str(picture), str(picture), "-o", str(tmp_path / "page")]
    assert cli.main(page) == 1
    assert "a.webp: has 3000×3000 pixels" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


LIMITED = """
import resource, sys
from drht_plugin import io
from drht_plugin.errors import ReadError
import OpenImageIO, pyvips
pyvips.Image.black(9, 9).avg()
def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) << 10
limit = status("VmSize:") + (60 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
before = status("VmHWM:")
try:
    io.read_picture(sys.argv[1])
except ReadError as error:
    print(error, status("VmHWM:") - before, sep="|")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
@pytest.mark.parametrize("name", ["a.webp", "a.avif", "a.jxl", "a.jp2"])
def test_nothing_is_taken_before(name: str, files: Path) -> None:
    """A process with a limit of its memory refuses the picture without taking any for it."""
    words = [sys.executable, "-c", LIMITED, str(made(files, name))]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    message, taken = result.stdout.split("|")
    assert "left by ulimit -v, which is" in message, (result.stdout, result.stderr)
    assert int(taken) < 16 << 20


def test_a_declared_giant(tmp_path: Path) -> None:
    """A JPEG 2000 file of some bytes that declares 2³¹ columns is refused on any machine."""
    path = tmp_path / "a.jp2"
    write(path, np.full((64, 64, 3), 90, np.uint8))
    data = bytearray(path.read_bytes())
    at = data.index(bytes.fromhex("ff4fff51")) + 8
    data[at : at + 8] = (0x7FFFFFFF).to_bytes(4, "big") * 2
    path.write_bytes(data)
    with pytest.raises(ReadError, match="has 2147483647×2147483647 pixels"):
        io.open_picture(path)


sides = st.one_of(st.integers(6, 40), st.sampled_from([64, 96, 120, 128, 256, 264, 600, 1000]))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    height=sides,
    width=sides,
    channels=st.sampled_from([1, 3, 4]),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    kind=st.sampled_from(["jxl", "jp2"]),
)
def test_sizes_of_headers(
    height: int, width: int, channels: int, dtype: str, kind: str, tmp_path: Path
) -> None:
    """What the headers say of JPEG XL and JPEG 2000 pictures is what is decoded."""
    dtype = "uint16" if (kind, dtype) == ("jp2", "float32") else dtype
    if kind == "jp2":
        height, width = max(height, 32), max(width, 32)
    path = tmp_path / f"a.{kind}"
    rng = np.random.default_rng(1)
    pixels = (rng.random((height, width, channels)) * 200).astype(dtype)
    write(path, pixels)
    data = path.read_bytes()
    if kind == "jxl":
        header = jxl.read_header(data)
        stated = header.shape, header.itemsize
    else:
        found = jp2.read_samples(data)
        assert found is not None
        stated = found.shape, found.itemsize
    with io.open_picture(path) as picture:
        assert stated == (picture.shape, picture.dtype.itemsize)


@pytest.mark.parametrize(
    ("name", "least"), [("a.webp", 8), ("a.avif", 19), ("a.jp2", 12), ("a.gif", 4)]
)
def test_sizes_tell_what_decoding_takes(name: str, least: int, files: Path) -> None:
    """A batch learns what a picture's decoder takes (bytes for each pixel) without decoding it."""
    size = io.size_of(made(files, name))
    assert size.whole
    assert least <= size.decoding / size.pixels <= least + 2


def test_a_picture_read_by_rows_takes_none(tmp_path: Path) -> None:
    """A picture that is read by rows counts nothing for its decoder."""
    _vips("tiffsave", compression="lzw")(tmp_path / "a.tif")
    assert io.size_of(tmp_path / "a.tif").decoding == 0
