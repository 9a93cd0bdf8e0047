"""Table of file formats: names, suffixes, magic numbers, and what each can hold."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Transfer = Literal["srgb", "linear"]
Alpha = Literal["none", "straight", "premultiplied", "stated"]
Colours = Literal["profile", "code points", "primaries", "gamma"]
Beside = Literal["EXIF", "XMP", "IPTC", "resolution"]


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: key of the table.
        label: name used in messages.
        suffixes: lower-case file name endings, the usual one first.
        backend: module of this package that reads and writes it.
        dtypes: names of the pixel types that it can hold; empty for a format that is only read.
        channels: numbers of channels that it can hold.
        transfer: encoding of its values.
        alpha: how colours are stored beside alpha: as they are, multiplied by it, or as the file
            states. The package takes straight alpha.
        colours: what states the colours, in the order of precedence; empty for sRGB's. What a
            format cannot hold becomes what it can hold, or else is said to be dropped.
        beside: what it holds beside pixels and colours.
        pixel_shape: whether it states the shape of pixels that are not square.
        has_orientation: whether viewers obey its orientation tag. If not, pixels are turned
            upright when a picture with such a tag is written to it.
        lossless: whether its pixels are always stored exactly.
        read_only: suffixes that are read but never written.
        max_side: greatest height or width in pixels; None for no limit.
        min_side: least height and width in pixels.
        whole: whether its codec needs all pixels of a picture at once, rather than by rows.
        successor: key of the format that a result gets unless another one is asked for; empty for
            its own.
    """

    name: str
    label: str
    suffixes: tuple[str, ...]
    backend: Literal["vips", "oiio", "libheif", "raw"]
    dtypes: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    transfer: Transfer = "srgb"
    alpha: Alpha = "none"
    colours: tuple[Colours, ...] = ()
    beside: tuple[Beside, ...] = ()
    pixel_shape: bool = False
    has_orientation: bool = False
    lossless: bool = False
    read_only: tuple[str, ...] = ()
    max_side: int | None = None
    min_side: int = 1
    whole: bool = False
    successor: str = ""


_ANY = (1, 2, 3, 4)
_INTEGERS = ("uint8", "uint16")
_FLOATS = ("float16", "float32")
_MOST: tuple[Beside, ...] = ("EXIF", "XMP", "resolution")
_ALL: tuple[Beside, ...] = (*_MOST, "IPTC")

RAW_SUFFIXES = (
    *(".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".sr2", ".srf", ".raf", ".orf"),
    *(".rw2", ".pef", ".srw", ".3fr", ".fff", ".iiq", ".erf", ".mrw", ".mos", ".kdc", ".dcr"),
    *(".rwl", ".x3f", ".raw"),
)
"""Suffixes of camera raw, the common one first."""

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
            has_orientation=True,
            max_side=65500,
            beside=_ALL,
            colours=("profile",),
            pixel_shape=True,
        ),
        Format(
            "png",
            "PNG",
            (".png",),
            "vips",
            _INTEGERS,
            _ANY,
            has_orientation=True,
            lossless=True,
            alpha="straight",
            beside=_MOST,
            colours=("code points", "profile", "gamma", "primaries"),
            pixel_shape=True,
        ),
        Format(
            "webp",
            "WebP",
            (".webp",),
            "vips",
            ("uint8",),
            (3, 4),
            has_orientation=True,
            max_side=16383,
            whole=True,
            alpha="straight",
            beside=_MOST,
            colours=("profile",),
        ),
        # uint16 means 10 or 12 bits here; `_writing` accepts such sources only.
        Format(
            "avif",
            "AVIF",
            (".avif",),
            "vips",
            _INTEGERS,
            (3, 4),
            max_side=16384,
            whole=True,
            alpha="stated",
            beside=_MOST,
            colours=("profile", "code points"),
            pixel_shape=True,
        ),
        Format(
            "heic",
            "HEIC",
            (".heic", ".heif", ".hif"),
            "libheif",
            whole=True,
            alpha="stated",
            beside=_MOST,
            colours=("profile", "code points"),
            pixel_shape=True,
            successor="avif",
        ),
        Format(
            "tiff",
            "TIFF",
            (".tif", ".tiff"),
            "oiio",
            _INTEGERS + _FLOATS,
            _ANY,
            has_orientation=True,
            lossless=True,
            alpha="stated",
            beside=_ALL,
            colours=("profile", "primaries"),
            pixel_shape=True,
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
            alpha="stated",
            beside=_MOST,
            colours=("profile",),
        ),
        # A bare codestream (.j2k, .j2c) cannot hold metadata.
        Format(
            "jp2",
            "JPEG 2000",
            (".jp2", ".j2k", ".j2c"),
            "oiio",
            _INTEGERS,
            (1, 3, 4),
            lossless=True,
            read_only=(".j2k", ".j2c"),
            min_side=32,  # OpenImageIO writes smaller pictures without pixels, and reports success
            whole=True,
            alpha="stated",
            beside=_MOST,
            colours=("profile",),
        ),
        Format(
            "exr",
            "OpenEXR",
            (".exr",),
            "oiio",
            _FLOATS,
            _ANY,
            "linear",
            lossless=True,
            alpha="premultiplied",
            colours=("primaries",),
            pixel_shape=True,
        ),
        Format(
            "hdr",
            "Radiance HDR",
            (".hdr",),
            "oiio",
            ("float32",),
            (3,),
            "linear",
            has_orientation=True,
            colours=("primaries",),
            pixel_shape=True,
        ),
        Format("pfm", "PFM", (".pfm",), "oiio", ("float32",), (1, 3), "linear", lossless=True),
        Format(
            "pnm",
            "PNM",
            (".ppm", ".pgm", ".pnm", ".pbm"),
            "oiio",
            _INTEGERS,
            (1, 3),
            lossless=True,
            read_only=(".pbm",),
        ),
        Format(
            "bmp",
            "BMP",
            (".bmp", ".dib"),
            "oiio",
            alpha="straight",
            colours=("profile",),
            successor="png",
        ),
        Format("gif", "GIF", (".gif",), "vips", alpha="straight", whole=True, successor="png"),
        Format("raw", "camera raw", RAW_SUFFIXES, "raw", whole=True, successor="tiff"),
        Format(
            "psd",
            "Photoshop",
            (".psd", ".psb"),
            "oiio",
            alpha="straight",
            colours=("profile",),
            successor="tiff",
        ),
    )
}

_BY_SUFFIX = {suffix: row for row in FORMATS.values() for suffix in row.suffixes}

HEADER_BYTES = 64
"""How many bytes of a file `sniff` needs."""

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
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"8BPS", "psd"),
    (b"IIRO", "raw"),
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"IIU\0", "raw"),
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"II\x1a\0\0\0HEAPCCDR", "raw"),
    (b"\0MRM", "raw"),
    (b"FOVb", "raw"),
    (b"%PDF", "PDF"),
)


def sniff(header: bytes) -> str | None:
    """Recognise the format of a file.

    Args:
        header: the file's first `HEADER_BYTES` bytes.

    Returns:
        A key of `FORMATS`, the label of an unsupported picture format, or None.
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
        if header[8:12] == b"crx ":
            return "raw"
        if brands & {b"avif", b"avis"}:
            return "avif"
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return "heic"
    return None


def format_of_suffix(suffix: str) -> Format | None:
    """Return the format of a file name's suffix, dot included, in any case; None if unknown."""
    return _BY_SUFFIX.get(suffix.lower())


def is_jpeg_name(path: Path) -> bool:
    """Return whether a file's name says that it is a JPEG."""
    row = format_of_suffix(path.suffix)
    return row is not None and row.name == "jpeg"


def readable_suffixes() -> frozenset[str]:
    """Return the lower-case suffixes, dot included, of the files that can be read."""
    return frozenset(_BY_SUFFIX)


def writable_suffixes() -> frozenset[str]:
    """Return the lower-case suffixes, dot included, of the files that can be written."""
    return frozenset(
        suffix for suffix, row in _BY_SUFFIX.items() if row.dtypes and suffix not in row.read_only
    )


def suffix_named(name: str) -> str | None:
    """Return the suffix of a format that is written, dot included, by its name or a suffix of it.

    Args:
        name: such as "jpeg", "jpg" or ".jpg", in any case.

    Returns:
        The suffix that was named, or the usual one of the format; None for other names.
    """
    name = name.lower()
    suffix = name if name.startswith(".") else f".{name}"
    if suffix in writable_suffixes() and name not in FORMATS:
        return suffix
    row = FORMATS.get(name)
    return row.suffixes[0] if row is not None and row.dtypes else None


def suffixes_of(suffix: str) -> tuple[str, ...]:
    """Return all suffixes of the format of a suffix, dots included."""
    return _BY_SUFFIX[suffix].suffixes


def suffixes_for(dtype: str, channels: int, transfer: str) -> list[str]:
    """Return the usual suffix of each format that can hold such pixels; see `can_hold`."""
    return [row.suffixes[0] for row in FORMATS.values() if can_hold(row, dtype, channels, transfer)]


def can_hold(row: Format, dtype: str, channels: int, transfer: str) -> bool:
    """Return whether a format can store such pixels unchanged.

    Args:
        row: the format.
        dtype: name of the pixel type.
        channels: 1 to 4.
        transfer: "srgb" or "linear".
    """
    return dtype in row.dtypes and channels in row.channels and transfer == row.transfer
