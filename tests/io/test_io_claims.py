"""Nothing that shows or claims the old picture stays beside the new one."""

import hashlib
import io as streams
import json
import struct
import zlib
from pathlib import Path

import io_samples as made
import numpy as np
import pytest
import tifffile
from faults import fault
from PIL import Image

from drht_plugin import io
from drht_plugin.cli import main
from drht_plugin.io.metadata import exif_edit, ifd, photoshop, xmp


def corrected(source: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Correct a file by the command; what it says is the same in a line and in JSON."""
    options = ["--strength", "0", "--overwrite", "--no-ultra-hdr"]
    command = ["correct", str(source), "-o", str(target), *options]
    assert main(command) == 0
    line = capsys.readouterr().err
    assert main([*command, "--json"]) == 0
    dropped: list[str] = json.loads(capsys.readouterr().out)["dropped"]
    assert line == (f"drht: {source}: not kept: {', '.join(dropped)}\n" if dropped else "")
    return dropped


def jpeg_bytes(side: int = 24) -> bytes:
    file = streams.BytesIO()
    Image.fromarray(made.values(3, "uint8", side, side)).save(file, "jpeg")
    return file.getvalue()


def resource(number: int, data: bytes, name: bytes = b"") -> bytes:
    label = bytes((len(name),)) + name
    label += b"\0" * (len(label) % 2)
    return (
        b"8BIM"
        + struct.pack(">H", number)
        + label
        + struct.pack(">I", len(data))
        + data
        + (b"\0" * (len(data) % 2))
    )


def packet(attributes: str = "", inner: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        'syntax-ns#"><rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'xmp:Rating="4" {attributes}>{inner}<xmp:Label>blue</xmp:Label></rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def with_segments(path: Path, *segments: tuple[int, bytes]) -> Path:
    """A JPEG file with further segments behind its first."""
    made.pillow(path, made.values(3, "uint8"), exif=None, icc_profile=None)
    data = path.read_bytes()
    head = 4 + int.from_bytes(data[4:6], "big")
    parts = (struct.pack(">BBH", 0xFF, marker, len(d) + 2) + d for marker, d in segments)
    path.write_bytes(data[:head] + b"".join(parts) + data[head:])
    return path


def test_layers_and_thumbnail_of_photoshop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A TIFF from Photoshop loses its layers and its thumbnail, and says so."""
    target = tmp_path / "a.tif"
    dropped = corrected(fault("photoshop_layers.tif"), target, capsys)
    assert dropped == ["Photoshop layers", "Photoshop thumbnail"]
    with tifffile.TiffFile(target) as file:
        assert not {37724, 34377} & set(file.pages[0].tags.keys())  # type: ignore[union-attr]
    assert b"\xff\xd8\xff" not in target.read_bytes()


@pytest.mark.parametrize("name", ["ultra_hdr.jpg", "ultrahdr.jpg"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_gain_map_that_is_gone_is_not_claimed(
    name: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an Ultra HDR file the picture comes out, with no word of a gain map or a video."""
    dropped = corrected(fault(name), tmp_path / f"a{suffix}", capsys)
    assert any(label.startswith("gain map") for label in dropped)
    assert "list of further pictures" in dropped
    assert ("motion photo" in dropped) == (name == "ultra_hdr.jpg")
    assert ("further pictures (MPF)" in dropped) == (name == "ultrahdr.jpg")
    data = (tmp_path / f"a{suffix}").read_bytes()
    for claim in (b"GainMap", b"hdrgm", b"hdr-gain-map", b"Container", b"MotionPhoto", b"MPF\0"):
        assert claim not in data
    assert data.count(b"\xff\xd8\xff") == (suffix == ".jpg")


@pytest.mark.parametrize("number", [0x0409, 0x040C])
def test_thumbnail_in_a_jpeg_from_photoshop(
    number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Photoshop's old and new thumbnail go; captions and guides beside them stay, byte for byte."""
    caption = resource(0x0404, b"\x1c\x02\x78\x00\x05hello")
    guides = resource(0x0408, b"guides!", name=b"odd")
    shown = resource(number, bytes(28) + jpeg_bytes())
    source = with_segments(
        tmp_path / "a.jpg", (0xED, b"Photoshop 3.0\0" + caption + shown + guides)
    )
    assert corrected(source, tmp_path / "b.jpg", capsys) == ["Photoshop thumbnail"]
    assert io.read_picture(tmp_path / "b.jpg").carrier.metadata.photoshop == caption + guides


def test_damaged_resources_of_photoshop() -> None:
    """Resources up to the damage stay; the rest, and what is no IPTC, is dropped."""
    good = resource(0x0408, b"guides")
    kept, dropped = photoshop.without_claims(good + b"8BIM" + b"\xff" * 30)
    assert (kept, dropped) == (good, ("Photoshop resources (damaged)",))
    kept, dropped = photoshop.without_claims(resource(0x0404, b"no data sets") + good)
    assert (kept, dropped) == (good, ("IPTC (damaged)",))


CLAIMS = {
    "thumbnail": (
        'xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/"',
        "<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType='Resource'><xmpGImg:image>/9j/4AAQ"
        "</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>",
        "XMP thumbnail",
    ),
    "empty element": (
        'xmlns:C="http://ns.google.com/photos/1.0/container/"',
        "<C:Directory/>",
        "list of further pictures",
    ),
    "video": (
        'xmlns:G="http://ns.google.com/photos/1.0/camera/" G:MicroVideo = "1" '
        "G:MicroVideoOffset='4>2'",
        "<G:MotionPhotoVersion>1</G:MotionPhotoVersion>",
        "motion photo",
    ),
    "original": (
        'xmlns:GImage="http://ns.google.com/photos/1.0/image/" GImage:Mime="image/jpeg" '
        'GImage:Data="/9j/4AAQ"',
        "",
        "embedded original",
    ),
    "default namespace": (
        "",
        '<Directory xmlns="http://ns.google.com/photos/1.0/container/"><Directory/></Directory>',
        "list of further pictures",
    ),
    "layers": (
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"',
        "<photoshop:TextLayers><rdf:Bag/></photoshop:TextLayers>",
        "Photoshop layers",
    ),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_claims_in_xmp(claim: str) -> None:
    """Each claim is cut out of XMP, and what else is in the packet stays byte for byte."""
    attributes, inner, label = CLAIMS[claim]
    cleaned, dropped = xmp.without_claims(packet(attributes, inner))
    assert dropped == (label,)
    assert b"/9j/" not in cleaned
    assert not any(
        word in cleaned for word in (b"Video", b"Motion", b"Directory", b"Thumb", b"GImage:")
    )
    start, end = packet("|", "|").split(b"|", 1)[0], packet("", "|").split(b"|")[1]
    assert cleaned.startswith(start.rstrip())
    assert cleaned.endswith(end)
    assert xmp.without_claims(cleaned) == (cleaned, ())


@pytest.mark.parametrize(
    "bad",
    [b"<x", packet()[:-3], b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', b"<a>" * 500, b"\xff\xfe<"],
)
def test_damaged_xmp_costs_itself(
    bad: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """XMP that cannot be read is dropped and said; the picture is corrected."""
    source = with_segments(tmp_path / "a.jpg", (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + bad))
    assert corrected(source, tmp_path / "b.jpg", capsys) == ["XMP (damaged)"]
    assert io.read_picture(tmp_path / "b.jpg").carrier.metadata.xmp is None


_TURNED = (
    ('xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"', ""),
    ("xmlns:t='http://ns.adobe.com/tiff/1.0/' t:Orientation = '6'", ""),
    ('xmlns:tiff="http://ns.adobe.com/tiff/1.0/"', "<tiff:Orientation> 6 </tiff:Orientation>"),
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("written", _TURNED)
@pytest.mark.parametrize("suffix", [".avif", ".jxl", ".jp2", ".png"])
def test_orientation_in_xmp(
    suffix: str,
    written: tuple[str, str],
    encoding: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where pixels are turned upright, XMP says so as EXIF does; where they are not, it stays."""
    turned = packet(*written).decode().encode(encoding)
    source, target = tmp_path / "a.jpg", tmp_path / f"b{suffix}"
    made.pillow(source, made.values(3, "uint8"), exif=made.exif(6), xmp=turned)
    corrected(source, target, capsys)
    found = io.read_picture(target).carrier.metadata
    assert found.xmp is not None
    upright = packet(*written).replace(b"'6'", b"'1'").replace(b'"6"', b'"1"')
    upright = upright.replace(b" 6 ", b" 1 ")
    assert found.xmp == (packet(*written) if suffix == ".png" else upright)


@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_orientation_in_xmp_of_a_picture_that_its_decoder_turns(
    suffix: str, tmp_path: Path
) -> None:
    """Such a picture comes upright, and its XMP says so."""
    if suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    path = tmp_path / f"a{suffix}"
    made.pillow(path, made.values(3, "uint8"), exif=made.exif(6), xmp=packet(*_TURNED[0]))
    assert io.read_picture(path).carrier.metadata.xmp == packet(*_TURNED[0]).replace(b'"6"', b'"1"')


SIDES = {"attributes": "exif:PixelXDimension='{}' exif:PixelYDimension='{}'", "elements": ""}
SIDES_INSIDE = {
    "attributes": "",
    "elements": "<tiff:ImageWidth>{}</tiff:ImageWidth><tiff:ImageLength> {} </tiff:ImageLength>",
}


def stated_sides(exif: bytes) -> tuple[object, ...]:
    block = Image.Exif()
    block.load(exif)
    return tuple(block.get_ifd(0x8769).get(tag) for tag in (0xA002, 0xA003))


def with_sides(width: int, height: int, orientation: int) -> bytes:
    block = Image.Exif()
    block.load(made.exif(orientation))
    block.get_ifd(0x8769).update({0xA002: width, 0xA003: height})
    return block.tobytes()


@pytest.mark.parametrize("how", SIDES)
@pytest.mark.parametrize("suffix", [".avif", ".jxl", ".jpg", ".png"])
@pytest.mark.parametrize(("stated", "turned"), [((60, 40), (40, 60)), ((6000, 40), (6000, 40))])
def test_sides_of_a_turned_picture(
    stated: tuple[int, int],
    turned: tuple[int, int],
    suffix: str,
    how: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where pixels are turned, width and height in EXIF and XMP are; all other bytes stay."""

    def described(width: int, height: int) -> bytes:
        spaces = " ".join(
            f"xmlns:{name}='http://ns.adobe.com/{name}/1.0/'" for name in ("tiff", "exif")
        )
        return packet(
            f"{spaces} {SIDES[how]}".format(width, height), SIDES_INSIDE[how].format(width, height)
        )

    source, target = tmp_path / "a.jpg", tmp_path / f"b{suffix}"
    block = with_sides(*stated, 6)
    made.pillow(source, made.values(3, "uint8", 40, 60), exif=block, xmp=described(*stated))
    corrected(source, target, capsys)
    found = io.read_picture(target).carrier.metadata
    expected = stated if suffix in (".jpg", ".png") else turned
    assert found.exif is not None
    assert stated_sides(found.exif) == expected
    assert found.xmp == described(*expected)
    assert len(found.exif) == len(io.read_picture(source).carrier.metadata.exif or b"")


@pytest.mark.parametrize("cut", range(8, 400, 7))
def test_sides_in_damaged_exif(cut: int) -> None:
    """A block that ends early is kept as it is."""
    block = with_sides(60, 40, 1).removeprefix(b"Exif\0\0")
    assert cut < len(block)
    changed = exif_edit.with_sides(block[:cut], 60, 40)
    assert len(changed) == cut
    assert stated_sides(exif_edit.with_sides(block, 60, 40)) == (40, 60)


def test_untouched_xmp_keeps_its_bytes() -> None:
    """A packet without claims comes back as it is, padding included."""
    whole = made.XMP + b" " * 100 + b"\0"
    assert xmp.without_claims(whole) == (whole, ())


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_extended_xmp(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Extended XMP loses an embedded original; the rest stays in JPEG, found by its new name."""
    attributes = 'xmlns:GImage="http://ns.google.com/photos/1.0/image/" GImage:Data="/9j/4AAQ"'
    filler = "<xmp:Nickname>" + "x" * 90_000 + "</xmp:Nickname>"
    long = packet(attributes, filler)
    name = hashlib.md5(long).hexdigest().upper()
    note = f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{name}"'
    head = b"http://ns.adobe.com/xmp/extension/\0" + name.encode()
    source = with_segments(
        tmp_path / "a.jpg",
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet(note)),
        *(
            (0xE1, head + struct.pack(">II", len(long), at) + long[at : at + 50_000])
            for at in (50_000, 0)
        ),
    )
    dropped = corrected(source, tmp_path / f"b{suffix}", capsys)
    assert "embedded original" in dropped
    assert ("extended XMP" in dropped) == (suffix != ".jpg")
    metadata = io.read_picture(tmp_path / f"b{suffix}").carrier.metadata
    assert metadata.xmp is not None
    if suffix == ".jpg":
        assert metadata.extended_xmp == xmp.without_claims(long)[0]
        assert xmp.extension_name(metadata.xmp) == (
            hashlib.md5(metadata.extended_xmp).hexdigest().upper().encode()
        )
    else:
        assert b"HasExtendedXMP" not in metadata.xmp
        assert b'xmp:Rating="4"' in metadata.xmp


def apple_note() -> bytes:
    """An iPhone's maker note: a date, a Live Photo's identifier, an HDR gain."""
    entries = [
        (0x0001, 9, 1, struct.pack(">i", 14)),
        (0x0011, 2, 4, b"ABC\0"),
        (0x0021, 9, 1, struct.pack(">i", 2)),
        (0x0030, 9, 1, struct.pack(">i", 3)),
    ]
    table = b"".join(struct.pack(">HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Apple iOS\0\0\1MM" + struct.pack(">H", len(entries)) + table + bytes(4)


def exif_block(note: bytes) -> bytes:
    fields = {37500: ifd.bytes_field(note)}
    return ifd.exif_block(ifd.Tree(main={271: ifd.bytes_field(b"A\0\0\0\0\0", 2)}, exif=fields))


def test_live_photo_and_gain_of_an_iphone() -> None:
    """The link to a Live Photo's video and a gain map's headroom leave an iPhone's maker note."""
    block, dropped = exif_edit.without_claims(exif_block(apple_note()))
    assert dropped == ("Live Photo link", "gain map")
    assert len(block) == len(exif_block(apple_note()))
    note = ifd.parse(block).exif[37500].data
    assert struct.unpack_from(">H", note, 14) == (1,)
    assert note[16:28] == apple_note()[16:28]
    assert not note[28:].strip(b"\0")
    assert exif_edit.without_claims(block) == (block, ())


def test_previews_in_a_maker_note() -> None:
    """A picture that a camera hides in its maker note becomes zeros; what is around it stays."""
    note = b"CAMERA\0" + bytes(range(1, 200)) + jpeg_bytes() + b"settings"
    block, dropped = exif_edit.without_claims(exif_block(note))
    assert dropped == ("EXIF thumbnail",)
    kept = ifd.parse(block).exif[37500].data
    assert kept == note.replace(jpeg_bytes(), bytes(len(jpeg_bytes())))


@pytest.mark.parametrize("packed", [True, False])
def test_bytes_of_the_thumbnail_are_gone(packed: bool) -> None:
    """The thumbnail of an EXIF block is not only unlinked: its bytes are zeros."""
    plain = exif_block(b"note")
    picture = jpeg_bytes() if packed else bytes(range(256)) * 3
    order, link = ifd.read_header(plain).order, 8 + 2 + 12 * 2
    at = len(plain)
    tags = (513, 514) if packed else (273, 279)
    table = struct.pack(order + "H", 2)
    for tag, value in zip(tags, (at + 30, len(picture)), strict=True):
        table += struct.pack(order + "HHII", tag, 4, 1, value)
    block = plain[:link] + struct.pack(order + "I", at) + plain[link + 4 :]
    block += table + bytes(4) + picture
    assert ifd.directories(block)[1][tags[0]].integers() == (at + 30,)
    cleaned, dropped = exif_edit.without_claims(block)
    assert dropped == ("EXIF thumbnail",)
    assert cleaned[: len(plain)] == plain
    assert not cleaned[at + 30 :].strip(b"\0")


def test_reduced_copies_in_a_tiff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Copies in sub-directories and further pages are left out, and said to be."""
    pixels = made.values(3, "uint8", 64, 64)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(pixels, subifds=1, photometric="rgb")
        file.write(pixels[::2, ::2], subfiletype=1, photometric="rgb")
        file.write(pixels[::4, ::4], subfiletype=1, photometric="rgb")
    assert corrected(tmp_path / "a.tif", tmp_path / "b.tif", capsys) == ["reduced copies"]
    np.testing.assert_array_equal(io.read_picture(tmp_path / "b.tif").pixels, pixels)


@pytest.mark.parametrize(
    ("marker", "data", "label"),
    [
        (0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4), "gain map"),
        (0xE0, b"JFXX\0\x10" + jpeg_bytes(), "JFIF thumbnail"),
        (0xEB, b"JP\0\0" + bytes(8), "content credentials or boxes (JUMBF)"),
        (0xE5, b"SAMSUNG\0" + bytes(8), "segment APP5 (SAMSUNG)"),
    ],
)
def test_other_segments(
    marker: int, data: bytes, label: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Segments of a JPEG that are not kept are named."""
    source = with_segments(tmp_path / "a.jpg", (marker, data))
    assert corrected(source, tmp_path / "b.jpg", capsys) == [label]


@pytest.mark.parametrize("name", ["icc_12_bytes.jpg", "icc_short.jpg"])
def test_a_bad_profile_costs_itself(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A profile cut to nothing is dropped and said; the picture is corrected."""
    (dropped,) = corrected(fault(name), tmp_path / "b.jpg", capsys)
    assert "ICC profile" in dropped


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_a_profile_that_is_none(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bytes that are no ICC profile, or not all of one, cost themselves in every format."""
    for index, bad in enumerate((b"no profile" * 20, made.profile()[:-20])):
        source = tmp_path / f"{index}{suffix}"
        name = "iccprofile" if suffix == ".tif" else "icc_profile"
        make = made.tiff if suffix == ".tif" else made.pillow
        make(source, made.values(3, "uint8"), **{name: bad})
        assert corrected(source, tmp_path / f"out{suffix}", capsys) == ["ICC profile (damaged)"]
        assert io.read_picture(tmp_path / f"out{suffix}").carrier.metadata.icc is None


def with_chunks(path: Path, *chunks: tuple[bytes, bytes, int]) -> Path:
    """A PNG file with further chunks, whose sums are changed by a number."""
    made.pillow(path, made.values(3, "uint8"), exif=None, icc_profile=None, dpi=None)
    data = path.read_bytes()
    parts = (
        struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d) ^ change)
        for kind, d, change in chunks
    )
    path.write_bytes(data[:33] + b"".join(parts) + data[33:])
    return path


def test_damaged_chunks_of_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Chunks beside the pixels with a wrong sum are dropped and said; sound ones stay."""
    source = with_chunks(
        tmp_path / "a.png",
        (b"tEXt", b"Comment\0good", 0),
        (b"tEXt", b"Comment\0bad", 1),
        (b"pHYs", struct.pack(">IIB", 9, 9, 1), 1),
        (b"iCCP", b"x\0\0" + zlib.compress(made.profile()), 1),
        (b"eXIf", exif_block(b"note"), 1),
    )
    dropped = corrected(source, tmp_path / "b.png", capsys)
    assert dropped == [
        "PNG chunk tEXt (damaged)",
        "density (damaged)",
        "ICC profile (damaged)",
        "EXIF (damaged)",
    ]
    data = (tmp_path / "b.png").read_bytes()
    assert b"Comment\0good" in data
    assert b"Comment\0bad" not in data
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "b.png")), made.values(3, "uint8")
    )


def test_profiles_that_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A thumbnail in a profile that ImageMagick stores as text does not stay; other ones do."""

    def text(name: bytes, profile: bytes) -> bytes:
        lines = b"\n%s\n%8d\n%s\n" % (name, len(profile), profile.hex().encode())
        return b"Raw profile type %s\0\0" % name + zlib.compress(lines)

    shown = resource(0x0408, b"guides!!") + resource(0x040C, bytes(28) + jpeg_bytes())
    kept = text(b"8bim", resource(0x0408, b"guides!!"))
    source = with_chunks(tmp_path / "a.png", (b"zTXt", text(b"8bim", shown), 0), (b"zTXt", kept, 0))
    assert corrected(source, tmp_path / "b.png", capsys) == ["Photoshop thumbnail"]
    data = (tmp_path / "b.png").read_bytes()
    assert (data.count(b"zTXt"), kept in data) == (1, True)
