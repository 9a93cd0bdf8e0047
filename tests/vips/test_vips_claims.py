"""An image corrected in a libvips pipeline carries nothing that shows the old picture."""

import struct
from pathlib import Path

import pytest
import pyvips
from test_io_claims import exif_block, jpeg_bytes, packet, resource, with_segments

from drht_plugin import vips
from drht_plugin.io.metadata import ifd, xmp
from drht_plugin.vips._metadata import without_old_picture


@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize("call", ["correct", "operation"])
def test_thumbnails_and_claims(call: str, strength: float, tmp_path: Path) -> None:
    """Thumbnails, layers and claims of a JPEG are gone; camera, rating and guides stay."""
    note = b"CAMERA\0" + bytes(range(1, 200)) + jpeg_bytes() + b"settings"
    guides = resource(0x0408, b"guides!!")
    gain = 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
    source = with_segments(
        tmp_path / "a.jpg",
        (0xE1, b"Exif\0\0" + exif_block(note)),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet(gain)),
        (0xED, b"Photoshop 3.0\0" + guides + resource(0x040C, bytes(28) + jpeg_bytes())),
    )
    image = pyvips.Image.new_from_file(str(source))
    if call == "correct":
        result = vips.correct(image, strength=strength)
    else:
        vips.register()
        result = image.drht_correct(strength=strength)
    exif = bytes(result.get("exif-data"))
    assert b"\xff\xd8\xff" not in exif
    assert ifd.parse(exif.removeprefix(b"Exif\0\0")).exif[37500].data.endswith(b"settings")
    assert bytes(result.get("iptc-data")) == b"Photoshop 3.0\0" + guides
    kept = bytes(result.get("xmp-data"))
    assert b'xmp:Rating="4"' in kept
    assert xmp.without_claims(kept) == (kept, ())


def test_thumbnail_of_exif(tmp_path: Path) -> None:
    """Libvips' own copy of a thumbnail goes too, so that no file gets it back."""
    picture = jpeg_bytes()
    plain = exif_block(b"note")
    at, link = len(plain), 8 + 2 + 12 * 2
    table = struct.pack("<H", 2)
    for tag, value in ((513, at + 30), (514, len(picture))):
        table += struct.pack("<HHII", tag, 4, 1, value)
    block = plain[:link] + struct.pack("<I", at) + plain[link + 4 :] + table + bytes(4) + picture
    source = with_segments(tmp_path / "a.jpg", (0xE1, b"Exif\0\0" + block))
    image = pyvips.Image.new_from_file(str(source))
    assert image.get_typeof("jpeg-thumbnail-data")
    vips.correct(image).write_to_file(str(tmp_path / "b.jpg"))
    assert (tmp_path / "b.jpg").read_bytes().count(b"\xff\xd8\xff") == 1


def test_an_image_without_claims_is_not_copied() -> None:
    """Metadata that says nothing of the old picture stays as it is."""
    image = pyvips.Image.black(9, 9)
    assert without_old_picture(image) is image
