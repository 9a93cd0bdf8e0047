"""HEIC pictures of Apple's cameras: their own map tells what is above white."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import apple_heic
import numpy as np
import OpenImageIO as oiio
import pytest
from PIL import Image
from readers import by_pillow

from drht_plugin import Corrector, correct_file
from drht_plugin.io.metadata import apple_gain_map

STOPS = 3.0
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:HDRGainMapVersion="131072" '
    'HDRGainMap:HDRGainMapHeadroom="8.000000"/></rdf:RDF></x:xmpmeta>'
)


@pytest.fixture(scope="module")
def corrector() -> Corrector:
    """Networks, loaded once."""
    return Corrector()


def scene() -> np.ndarray:
    """Light of a room with two windows: of 2 and of 6 times white."""
    light = np.tile(np.linspace(0.05, 0.5, 320), (240, 1))
    light[40:120, 60:120] = 2
    light[40:120, 200:260] = 6
    return light[..., None] * np.ones(3)


def coded_scene() -> tuple[np.ndarray, np.ndarray]:
    """Codes of the scene in sRGB, and of its map, of a quarter of the size."""
    light = scene()
    x = light.clip(0, 1)
    base = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    gain = (light / x)[..., 0].reshape(60, 4, 80, 4).mean((1, 3))
    linear = (gain - 1) / (2**STOPS - 1)
    codes = np.where(linear < 0.018, 4.5 * linear, 1.099 * linear**0.45 - 0.099)
    return np.rint(base * 255).astype(np.uint8), np.rint(codes * 255).astype(np.uint8)


def by_iphone(path: Path, **more: Any) -> Path:
    """The scene as an iPhone writes it."""
    base, codes = coded_scene()
    apple_heic.write(path, base, codes, **more)
    return path


def as_jpeg(path: Path, exif: bytes) -> Path:
    """The same as a JPEG, the map behind it, as iPhones write where HEIC is not wanted."""
    base, codes = coded_scene()
    packet = f'<x aux:AuxiliaryImageType="{apple_gain_map.URN}"/>'.encode()
    payload = b"http://ns.adobe.com/xap/1.0/\0" + packet
    first, second = jpeg(base), with_segment(jpeg(codes), 0xE1, payload)
    first = with_segment(first, 0xE1, b"Exif\0\0" + exif)
    size = 4 + 4 + 8 + 2 + 12 + 4 + 32 + 2
    offset = len(first) + size - (2 + 4 + 4)  # from the index's header to the map
    entries = struct.pack("<IIIHH", 0, len(first) + size, 0, 0, 0)
    entries += struct.pack("<IIIHH", 0, len(second), offset, 0, 0)
    index = b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHIII", 1, 0xB002, 7, 32, 26, 0)
    path.write_bytes(with_segment(first, 0xE2, b"MPF\0" + index + entries + bytes(2)) + second)
    return path


def jpeg(codes: np.ndarray) -> bytes:
    """A JPEG of codes."""
    file = io.BytesIO()
    Image.fromarray(codes).save(file, "jpeg", quality=95)
    return file.getvalue()


def with_segment(data: bytes, marker: int, payload: bytes) -> bytes:
    """A JPEG with a segment right behind its start."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + data[2:]


def windows(light: np.ndarray) -> tuple[float, float]:
    """Mean light of the two windows."""
    return float(light[60:100, 75:105].mean()), float(light[60:100, 215:245].mean())


@pytest.mark.parametrize("stated", ["maker note", "XMP", "JPEG"])
def test_estimate_is_what_the_map_tells(stated: str, tmp_path: Path, corrector: Corrector) -> None:
    """The HDR estimate is the camera's HDR picture, and the JPEG made of it shines as far."""
    exif = apple_heic.maker_exif(1.0, 0.0)
    if stated == "JPEG":
        source = as_jpeg(tmp_path / "s.jpg", exif)
    else:
        more = {"exif": exif} if stated == "maker note" else {"xmp": XMP.encode()}
        source = by_iphone(tmp_path / "s.heic", **more)
    report = correct_file(source, tmp_path / "a.jpg", corrector=corrector, hdr=tmp_path / "a.exr")
    estimate = np.asarray(oiio.ImageBuf(str(tmp_path / "a.exr")).get_pixels())
    for found, true in zip(windows(estimate), windows(scene()), strict=True):
        assert found == pytest.approx(true, rel=0.05)
    assert report.headroom is not None
    assert not any("gain map" in label for label in report.dropped)
    dim, bright = windows(by_pillow(tmp_path / "a.jpg").shown(8.0))
    assert np.log2(bright / dim) == pytest.approx(np.log2(3), abs=0.2)


def test_map_without_a_headroom_is_said(tmp_path: Path, corrector: Corrector) -> None:
    """Where nothing tells how far a map leads, it is left out, and a word says why."""
    source = by_iphone(tmp_path / "s.heic")
    report = correct_file(source, tmp_path / "a.jpg", corrector=corrector)
    assert "gain map (without its values)" in report.dropped


@pytest.mark.parametrize(
    ("numbers", "stops"),
    [
        ((0.5, 0.005), 1.7),
        ((0.5, 1.0), 1.5),
        ((1.0, 0.01), 2.3),
        ((1.2, 1.0), 2.0),
        ((1.2, 8.0), 0.0),
    ],
)
def test_headroom_of_a_maker_note(numbers: tuple[float, float], stops: float) -> None:
    """Apple's four lines, and no less than none."""
    exif = apple_heic.maker_exif(*numbers)
    assert apple_gain_map.headroom(b"", exif) == pytest.approx(stops, abs=1e-3)


@pytest.mark.parametrize("exif", [b"", b"II*\0", apple_heic.maker_exif(1, 0)[:-12]])
def test_damaged_notes_tell_nothing(exif: bytes) -> None:
    """Blocks that are cut give no headroom, and raise nothing."""
    assert apple_gain_map.headroom(b"", exif) is None
