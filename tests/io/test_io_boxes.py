"""Metadata and further pictures in the boxes of JPEG XL, AVIF and HEIC files."""

import struct
import sys
from pathlib import Path

import brotli
import io_samples as made
import pytest
from faults import fault

from drht_plugin import io
from drht_plugin.cli import main
from drht_plugin.errors import DependencyError
from drht_plugin.io.metadata import heif


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data


def jxl_with(path: Path, *more: bytes) -> Path:
    """A JPEG XL file with further boxes."""
    made.pillow(path.with_suffix(".png"), made.values(3, "uint8"), exif=None)
    picture = io.read_picture(path.with_suffix(".png"))
    io.write_picture(path, picture.pixels, picture)
    with open(path, "ab") as file:
        file.writelines(more)
    return path


def test_packed_boxes_of_jpeg_xl(tmp_path: Path) -> None:
    """EXIF and XMP that are packed by Brotli come out."""
    source, target = fault("brob.jxl"), tmp_path / "a.jxl"
    assert main(["correct", str(source), "-o", str(target), "--quiet"]) == 0
    metadata = io.read_picture(target).carrier.metadata
    assert metadata.exif is not None
    assert b"ACME\0" in metadata.exif
    assert metadata.xmp is not None
    assert b"<x:xmpmeta" in metadata.xmp
    assert metadata.dropped == ()


def test_packed_and_plain_boxes(tmp_path: Path) -> None:
    """Packed boxes are read like plain ones; what is no metadata beside them is named."""
    exif = made.exif(1).removeprefix(b"Exif\0\0")
    path = jxl_with(
        tmp_path / "a.jxl",
        box(b"brob", b"Exif" + brotli.compress(b"\0\0\0\2??" + exif)),
        box(b"brob", b"xml " + brotli.compress(made.XMP)),
        box(b"jhgm", bytes(40)),
        box(b"brob", b"jumb" + brotli.compress(b"x")),
    )
    metadata = io.read_picture(path).carrier.metadata
    assert (metadata.exif, metadata.xmp) == (exif, made.XMP)
    assert metadata.dropped == ("gain map", "content credentials or boxes (JUMBF)")


@pytest.mark.parametrize(
    "packed",
    [b"no stream at all", brotli.compress(made.XMP * 9)[:-3], brotli.compress(bytes(1 << 29))],
)
def test_packed_boxes_that_are_damaged(packed: bytes, tmp_path: Path) -> None:
    """A packed box that is damaged, cut off or a bomb costs itself, and is named."""
    path = jxl_with(tmp_path / "a.jxl", box(b"brob", b"xml " + packed))
    metadata = io.read_picture(path).carrier.metadata
    assert metadata.xmp is None
    assert metadata.dropped == ("XMP (damaged)",)


def test_missing_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound HEIC file that cannot be decoded is not called damaged: the extra is named."""
    import pyvips

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = fault("iphone.heic")
    try:
        pyvips.Image.heifload(str(path)).avg()
        pytest.skip("this libvips decodes HEVC")
    except pyvips.Error:
        with pytest.raises(DependencyError, match=r"iphone\.heic: .*drht-plugin\[heic\]"):
            io.read_picture(path)


def meta(*parts: bytes) -> bytes:
    return box(b"ftyp", b"heic" + bytes(4)) + box(b"meta", bytes(4) + b"".join(parts))


def auxiliary(name: bytes) -> bytes:
    return box(b"iprp", box(b"ipco", box(b"auxC", bytes(4) + name + b"\0")))


PICTURES = {
    "thumbnail": (
        box(b"iref", bytes(4) + box(b"thmb", struct.pack(">HHH", 2, 1, 1))),
        ("HEIF thumbnail",),
    ),
    "Apple's gain map": (auxiliary(b"urn:com:apple:photo:2020:aux:hdrgainmap"), ("gain map",)),
    "alpha": (auxiliary(b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"), ()),
    "depth": (
        auxiliary(b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth"),
        ("auxiliary pictures",),
    ),
    "tone map": (
        box(
            b"iinf",
            bytes(4) + b"\0\1" + box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 3, 0) + b"tmap\0"),
        ),
        ("gain map",),
    ),
    "nothing": (b"", ()),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_further_pictures_of_heif(kind: str) -> None:
    """Thumbnails, gain maps and other pictures beside the primary one are named; alpha is kept."""
    part, names = PICTURES[kind]
    assert heif.read_properties(meta(part)).dropped == names
