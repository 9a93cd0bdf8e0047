"""What each file format is called, recognised by, and able to hold: one table, no pixels."""

from dataclasses import dataclass
from typing import Literal

Transfer = Literal["srgb", "linear"]


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: Key of the table.
        label: What messages call it.
        suffixes: Lower-case file name endings, the usual one first.
        backend: Module of this package that reads and writes it.
        dtypes: Names of the pixel types that it holds; none where it is only read.
        channels: Numbers of channels that it holds.
        transfer: How its values are encoded.
        orients: Whether viewers obey the orientation tag of such a file. Where they do not, the
            pixels are turned when a turned picture of another format is written to it.
        lossless: Whether its pixels are always stored exactly.
        unwritten: Suffixes that are read but never written.
        side: Most pixels of a side, where there is such a limit.
        whole: Whether its codec needs all pixels of a picture at once. Others go by rows.
    """

    name: str
    label: str
    suffixes: tuple[str, ...]
    backend: Literal["vips", "oiio"]
    dtypes: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    transfer: Transfer = "srgb"
    orients: bool = False
    lossless: bool = False
    unwritten: tuple[str, ...] = ()
    side: int | None = None
    whole: bool = False


_ANY = (1, 2, 3, 4)
_INTEGERS = ("uint8", "uint16")
_FLOATS = ("float16", "float32")

FORMATS = {
    row.name: row
    for row in (
        Format(
            "jpeg",
            "JPEG",
            (".jpg", ".jpeg", ".jpe", ".jfif"),
            "vips",
            ("uint8",),
            (1, 3),
            orients=True,
            side=65500,
        ),
        Format("png", "PNG", (".png",), "vips", _INTEGERS, _ANY, orients=True, lossless=True),
        Format(
            "webp",
            "WebP",
            (".webp",),
            "vips",
            ("uint8",),
            (3, 4),
            orients=True,
            side=16383,
            whole=True,
        ),
        # uint16 stands for 10 and 12 bits here; `check_target` lets only such a source through.
        Format("avif", "AVIF", (".avif",), "vips", _INTEGERS, (3, 4), side=16384, whole=True),
        Format("heic", "HEIC", (".heic", ".heif", ".hif"), "vips", whole=True),
        Format(
            "tiff",
            "TIFF",
            (".tif", ".tiff"),
            "oiio",
            _INTEGERS + _FLOATS,
            _ANY,
            orients=True,
            lossless=True,
        ),
        Format(
            "jxl",
            "JPEG XL",
            (".jxl",),
            "oiio",
            _INTEGERS + _FLOATS,
            (1, 3, 4),
            lossless=True,
            whole=True,
        ),
        # A bare codestream (.j2k, .j2c) has no place for metadata.
        Format(
            "jp2",
            "JPEG 2000",
            (".jp2", ".j2k", ".j2c"),
            "oiio",
            _INTEGERS,
            (1, 3, 4),
            lossless=True,
            unwritten=(".j2k", ".j2c"),
            whole=True,
        ),
        Format("exr", "OpenEXR", (".exr",), "oiio", _FLOATS, _ANY, "linear", lossless=True),
        Format("hdr", "Radiance HDR", (".hdr",), "oiio", ("float32",), (3,), "linear"),
        Format("pfm", "PFM", (".pfm",), "oiio", ("float32",), (1, 3), "linear", lossless=True),
        Format(
            "pnm",
            "PNM",
            (".ppm", ".pgm", ".pnm", ".pbm"),
            "oiio",
            _INTEGERS,
            (1, 3),
            lossless=True,
            unwritten=(".pbm",),
        ),
    )
}

_BY_SUFFIX = {suffix: row for row in FORMATS.values() for suffix in row.suffixes}

HEADER_BYTES = 64
"""How much of a file `sniff` wants to see."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"#?RGBE", "hdr"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"\0\0\0\x0cjP  ", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"PF\n", "pfm"),
    (b"Pf\n", "pfm"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
)


def sniff(header: bytes) -> str | None:
    """Name the format of a file by its first `HEADER_BYTES` bytes.

    Returns:
        A key of `FORMATS`, the label of a picture format that is not read, or None.
    """
    for magic, name in _MAGIC:
        if header.startswith(magic):
            return name
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "webp"
    if header[:1] == b"P" and header[1:2] in b"123456" and header[2:3].isspace():
        return "pnm"
    if header[4:8] == b"ftyp":
        brands = {header[8:12], *(header[at : at + 4] for at in range(16, len(header) - 3, 4))}
        if brands & {b"avif", b"avis"}:
            return "avif"
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return "heic"
    return None


def by_suffix(suffix: str) -> Format | None:
    """Return the format that a file name's ending, in any case, stands for."""
    return _BY_SUFFIX.get(suffix.lower())


def readable_suffixes() -> frozenset[str]:
    """Return the lower-case suffixes, dot included, of the files that can be read."""
    return frozenset(_BY_SUFFIX)


def writable_suffixes() -> frozenset[str]:
    """Return the lower-case suffixes, dot included, of the files that can be written."""
    return frozenset(
        suffix for suffix, row in _BY_SUFFIX.items() if row.dtypes and suffix not in row.unwritten
    )


def holders(dtype: str, channels: int, transfer: str) -> list[str]:
    """Return the usual suffixes of the formats that hold such pixels."""
    return [row.suffixes[0] for row in FORMATS.values() if holds(row, dtype, channels, transfer)]


def holds(row: Format, dtype: str, channels: int, transfer: str) -> bool:
    """Say whether a format can store such pixels as they are."""
    return dtype in row.dtypes and channels in row.channels and transfer == row.transfer
