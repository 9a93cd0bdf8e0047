"""Damage is said: a decoder's warning about pixels refuses a file, unless it is to be kept."""

import io as streams
import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
import pyvips
import tifffile
from faults import fault
from PIL import Image

from drht_plugin import correct_file, io
from drht_plugin.cli import main
from drht_plugin.errors import DrhtWarning, InputError, ReadError
from drht_plugin.libvips.said import said

HEIGHT, WIDTH = 150, 190


def photograph() -> Any:
    """A picture of coloured blocks, which fills many rows of MCUs."""
    blocks = np.random.default_rng(0).integers(0, 255, (HEIGHT // 8 + 1, WIDTH // 8 + 1, 3))
    return np.kron(blocks, np.ones((8, 8, 1)))[:HEIGHT, :WIDTH].astype(np.uint8)


def jpeg(**options: Any) -> bytes:
    file = streams.BytesIO()
    Image.fromarray(photograph()).save(file, "jpeg", quality=90, **options)
    return file.getvalue()


def marks(data: bytes, mark: bytes) -> list[int]:
    return [found.start() for found in re.finditer(mark, data)]


def without_a_restart(data: bytes) -> bytes:
    first, second = marks(data, rb"\xff[\xd0-\xd7]")[3:5]
    return data[:first] + data[second:]


def without_a_scan(data: bytes) -> bytes:
    scans = marks(data, rb"\xff\xda")
    return data[: scans[3]] + data[scans[4] :]


DAMAGE, END = "is damaged or ends early", b"\xff\xd9"
DAMAGED: dict[str, Callable[[], bytes]] = {
    "half with an end": lambda: jpeg()[: len(jpeg()) // 2] + END,
    "last bytes lost": lambda: jpeg()[:-5] + END,
    "no end": lambda: jpeg()[:-20],
    "restart lost": lambda: without_a_restart(jpeg(restart_marker_rows=1)),
    "scans lost": lambda: (d := jpeg(progressive=True))[: marks(d, rb"\xff\xda")[4]] + END,
    "one scan lost": lambda: without_a_scan(jpeg(progressive=True)),
}


@pytest.mark.parametrize("name", ["half_with_eoi.jpg", "hugedim.jpg"])
def test_damage_that_libjpeg_warns_of(name: str, tmp_path: Path) -> None:
    """A file of which libjpeg says that a segment ends early is refused; nothing is written."""
    source, target = fault(name), tmp_path / "a.jpg"
    assert main(["correct", str(source), "-o", str(target), "--quiet"]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["flip1_0", "word12"])
def test_warnings_of_libjpeg(end: str) -> None:
    """So is each file that was found with a warning."""
    with pytest.raises(ReadError, match="is damaged or ends early"):
        io.read_picture(fault(f"jpegwarn_a.jpg_{end}.jpg"))


@pytest.mark.filterwarnings("always::drht_plugin.errors.DrhtWarning")
@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_jpeg(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any damage in a JPEG's pixels refuses it; "keep" takes the sound part, and says so."""
    source, target = tmp_path / "a.jpg", tmp_path / "b.png"
    source.write_bytes(DAMAGED[kind]())
    command = ["correct", str(source), "-o", str(target), "--strength", "0", "--json"]
    assert main(command) == 1
    assert "a.jpg: is damaged or ends early (" in capsys.readouterr().err
    assert not target.exists()
    assert main([*command, "--damaged", "keep"]) == 0
    out, err = capsys.readouterr()
    damage = json.loads(out)["damage"]
    assert damage
    assert err == f"drht: {source}: is damaged ({damage}); what could be read of it was taken\n"
    kept = io.read_picture(target).pixels.astype(int)
    sound = np.asarray(Image.open(streams.BytesIO(jpeg()))).astype(int)
    share = 1 if "scan" in kind else 3  # of the rows, those above the damage
    if "scan" not in kind:
        np.testing.assert_array_equal(kept[: HEIGHT // share], sound[: HEIGHT // share])
    assert np.abs(kept - sound).mean() < 60


HARMLESS = {
    "version of JFIF": lambda d: d[:11] + b"\2" + d[12:],
    "transform of Adobe": lambda d: d[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\7" + d[20:],
    "bytes between segments": lambda d: d[:20] + b"\1\2\3" + d[20:],
    "fill bytes": lambda d: d[:20] + b"\xff" * 9 + d[20:],
    "bytes before the end": lambda d: d[:-2] + b"\0\1\2" + d[-2:],
    "bytes behind the end": lambda d: d + b"more" * 20,
}


@pytest.mark.parametrize("kind", HARMLESS)
@pytest.mark.parametrize("progressive", [False, True])
def test_warnings_that_are_not_about_pixels(kind: str, progressive: bool, tmp_path: Path) -> None:
    """What libjpeg warns of in a header costs nothing: pixels and metadata are all there."""
    plain = jpeg(progressive=progressive)
    data = HARMLESS[kind](jpeg(progressive=progressive, exif=made.exif(), comment=b"hello"))
    (tmp_path / "a.jpg").write_bytes(data)
    picture = io.read_picture(tmp_path / "a.jpg")
    np.testing.assert_array_equal(picture.pixels, np.asarray(Image.open(streams.BytesIO(plain))))
    assert picture.carrier.metadata.exif == made.exif().removeprefix(b"Exif\0\0")


def damaged_tiff(path: Path, compression: str | None) -> tuple[Any, slice]:
    """A TIFF of strips, one of them overwritten; its pixels, and the rows that are lost."""
    pixels = photograph()
    tifffile.imwrite(path, pixels, compression=compression, rowsperstrip=10, photometric="rgb")
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        start, size = page.dataoffsets[7], page.databytecounts[7]
    data = bytearray(path.read_bytes())
    if compression is None:
        del data[start:]
        path.write_bytes(data)
        return pixels, slice(70, HEIGHT)
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    return pixels, slice(70, 80)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
def test_damaged_tiff(compression: str | None, tmp_path: Path) -> None:
    """A TIFF with a bad strip, or cut off, is refused; "keep" loses the bad rows alone."""
    if compression in ("lzw", "packbits"):
        pyvips.Image.new_from_array(photograph()).tiffsave(
            str(tmp_path / "a.tif"), compression=compression
        )
        data = bytearray((tmp_path / "a.tif").read_bytes())
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            page = file.pages[0]
            assert isinstance(page, tifffile.TiffPage)
            start, size = page.dataoffsets[1], page.databytecounts[1]
            rows = page.rowsperstrip
        data[start : start + size] = b"\xff" * size if compression == "lzw" else bytes(size)
        (tmp_path / "a.tif").write_bytes(data)
        pixels, lost = photograph(), slice(rows, HEIGHT)
    else:
        pixels, lost = damaged_tiff(tmp_path / "a.tif", compression)
    with pytest.raises(ReadError, match="is damaged or ends early"):
        io.read_picture(tmp_path / "a.tif")
    with io.open_picture(tmp_path / "a.tif", damaged="keep") as file:
        kept = file[:]
        assert file.damage
    np.testing.assert_array_equal(kept[: lost.start], pixels[: lost.start])
    np.testing.assert_array_equal(kept[lost.stop :], pixels[lost.stop :])
    assert not kept[lost].all()


def test_damaged_tile(tmp_path: Path) -> None:
    """Of tiles, only the bad one is lost."""
    pixels = photograph()
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, compression="zlib", tile=(64, 64), photometric="rgb"
    )
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        start, size = page.dataoffsets[4], page.databytecounts[4]
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[start : start + size] = bytes(size)
    (tmp_path / "a.tif").write_bytes(data)
    picture = io.read_picture(tmp_path / "a.tif", damaged="keep")
    pixels[64:128, 64:128] = 0
    np.testing.assert_array_equal(picture.pixels, pixels)


WARNED: dict[str, tuple[dict[str, Any], bytes]] = {
    "jpeg strips": ({"compression": "jpeg"}, b"\xff\xd9" * 20),
    "jpeg tiles": (
        {"compression": "jpeg", "tile": True, "tile_width": 64, "tile_height": 64},
        b"\xff\xd9" * 20,
    ),
    "packbits": ({"compression": "packbits"}, b"\x81\x55" * 20),
    "fax": ({"compression": "ccittfax4", "bitdepth": 1}, bytes(40)),
}


@pytest.mark.parametrize("kind", WARNED)
def test_damage_that_libtiff_warns_of(kind: str, tmp_path: Path) -> None:
    """A TIFF whose decoder only warns of damage is refused like others; a sound one is read."""
    options, damage = WARNED[kind]
    pixels = np.random.default_rng(0).integers(0, 255, (150, 190, 3)).astype(np.uint8)
    if kind == "fax":
        pixels = np.where(pixels[..., :1] > 128, 255, 0).astype(np.uint8)
    path = tmp_path / "a.tif"
    pyvips.Image.new_from_array(pixels).tiffsave(str(path), **options)
    assert io.read_picture(path).pixels.shape == pixels.shape
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        last = len(page.dataoffsets) - 1
        start, size = page.dataoffsets[last], page.databytecounts[last]
    data = bytearray(path.read_bytes())
    data[start + size // 2 : start + size // 2 + len(damage)] = damage
    path.write_bytes(data)
    with pytest.raises(ReadError, match="is damaged or ends early"):
        io.read_picture(path)
    with io.open_picture(path, damaged="keep") as opened:
        assert opened[:].shape == pixels.shape
        assert opened.damage


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("planar", [False, True])
def test_sound_packbits(dtype: str, planar: bool, tmp_path: Path) -> None:
    """Sound PackBits files of every depth and planes are read, where libvips reads them or not."""
    pixels = made.values(3, dtype, 64, 48)
    planes = "separate" if planar else "contig"
    made.openimageio(tmp_path / "a.tif", pixels, compression="packbits", planarconfig=planes)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("suffix", [".png", ".exr"])
def test_cut_off_files_are_kept(suffix: str, tmp_path: Path) -> None:
    """What came before a file's early end is kept."""
    pixels = np.random.default_rng(0).integers(1, 255, (200, 190, 3)).astype(np.uint8)
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        made.pillow(path, pixels)
    else:
        pixels = pixels.astype(np.float32)
        made.openimageio(path, pixels)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ReadError, match="is damaged or ends early"):
        io.read_picture(path)
    kept = io.read_picture(path, damaged="keep").pixels
    np.testing.assert_array_equal(kept[:60], pixels[:60])


@pytest.mark.parametrize("suffix", [".webp", ".jp2", ".jxl"])
def test_nothing_to_keep(suffix: str, tmp_path: Path) -> None:
    """A file of which the decoder gives nothing is refused in any case, never black."""
    path = tmp_path / f"a{suffix}"
    source = tmp_path / "a.png"
    made.pillow(source, photograph())
    picture = io.read_picture(source)
    io.write_picture(path, picture.pixels, picture)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    with pytest.raises(ReadError, match="is damaged or ends early"):
        io.read_picture(path, damaged="keep")


def test_sound_files_say_nothing(tmp_path: Path) -> None:
    """For a sound file "keep" changes nothing; other words are refused."""
    made.pillow(tmp_path / "a.jpg", photograph())
    report = correct_file(tmp_path / "a.jpg", tmp_path / "b.jpg", damaged="keep")
    assert report.damage is None
    with pytest.raises(InputError, match="'refuse' and 'keep' are accepted"):
        correct_file(tmp_path / "a.jpg", tmp_path / "b.jpg", damaged="ask")  # type: ignore[arg-type]


def test_damage_is_a_warning_of_the_library(tmp_path: Path) -> None:
    """A caller hears of kept damage by a warning and by the report."""
    (tmp_path / "a.jpg").write_bytes(DAMAGED["half with an end"]())
    with pytest.warns(DrhtWarning, match="what could be read of it was taken"):
        report = correct_file(tmp_path / "a.jpg", tmp_path / "b.jpg", damaged="keep")
    assert report.damage is not None
    assert "its JPEG data cannot be decoded" in report.damage


def test_words_are_a_pictures_own(tmp_path: Path) -> None:
    """An error reads the same however much else is done with libvips at the same time."""
    source, text = tmp_path / "a.jpg", "its JPEG data cannot be decoded"
    source.write_bytes(DAMAGED["no end"]())
    other, done = pyvips.Image.black(64, 64), threading.Event()

    def save() -> None:
        while not done.is_set():
            other.pngsave_buffer()

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(60):
            with pytest.raises(ReadError, match=re.escape(f"a.jpg: {DAMAGE} ({text})") + "$"):
                io.read_picture(source)
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("pngsave: too large\nmore\n", "pngsave: too large"),
        ("image: no property named `pngsave_target'\npngsave: too large\n", "pngsave: too large"),
        ("", "unable to call pngsave"),
        ("image: no property named `copy'\n", "unable to call pngsave"),
    ],
)
def test_words_of_libvips(detail: str, words: str) -> None:
    """What pyvips looks for before each call is no reason why a file cannot be written."""
    error = pyvips.Error("unable to call pngsave", " ")
    error.detail = detail
    assert said(error) == words


CHANGES: dict[str, Callable[[Path], object]] = {
    "written to": lambda p: p.write_bytes(p.read_bytes()),
    "grown": lambda p: p.write_bytes(p.read_bytes() + b"\0"),
    "cut off": lambda p: os.truncate(p, p.stat().st_size // 2),
    "removed": lambda p: p.unlink(),
    "replaced": lambda p: (
        (p.with_suffix(".new").write_bytes(p.read_bytes())) and p.with_suffix(".new").replace(p)
    ),
}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".exr"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read(change: str, suffix: str, tmp_path: Path) -> None:
    """A source that is written to, cut off, replaced or removed meanwhile is an error by name."""
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    if suffix == ".exr":
        made.openimageio(source, made.values(3, "float32", 300, 200))
    else:
        made.pillow(source, made.values(3, "uint8", 300, 200))
    before = source.stat()
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns - 10**9))
    done: list[float] = []

    def progress(share: float) -> None:
        if not done and share > 0:
            CHANGES[change](source)
        done.append(share)

    with pytest.raises(ReadError, match=rf"^a\{suffix}: (was changed while it was read|is gone)"):
        correct_file(source, target, memory="200k", progress=progress)
    assert done
    assert not target.exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
