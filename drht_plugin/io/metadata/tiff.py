"""Read the pixel type, coding and metadata of TIFF files."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io.metadata import ifd
from drht_plugin.io.metadata.tiff_layout import require_readable, written_compression
from drht_plugin.io.metadata.types import Metadata

_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _FORMAT = 254, 258, 259, 262, 277, 339
_TRANSFER, _COLOUR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_COUNTS = 301, 320, 322, 323, 325
_WIDTH, _HEIGHT, _ROWS, _COUNTS, _PLANES = 256, 257, 278, 279, 284
_LARGEST_TILE = 1 << 22
"""Larger tiles are read, but strips are written in their place (pixels)."""
_OLD_SUBFILE, _OLD_REDUCED, _MASK, _SUB_DIRECTORIES, _LAYERS = 255, 2, 4, 330, 37724
_STALE = frozenset({_LAYERS, 50828})  # Photoshop's layers; the raw file that a DNG was made from

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _INKS: 4, _YCBCR: 3}
_INK_SET, _CMYK = 332, 1
_KINDS = {
    4: "transparency mask",
    8: "CIE Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "camera raw",
}
_KINDS |= {32844: "LogL", 32845: "LogLuv", 34892: "camera raw"}
_DTYPES = {(3, 16): "float16", (3, 32): "float32"}
_DTYPES |= {(1, bits): "uint8" for bits in (1, 2, 4, 6, 8)}
_DTYPES |= {(1, bits): "uint16" for bits in (10, 12, 14, 16)}

# Larger fields are not copied to other formats, whose EXIF blocks are small (bytes).
_PORTABLE_BYTES = 4096


@dataclass(frozen=True)
class TiffCoding:
    """How a TIFF file is stored.

    Attributes:
        compression: OpenImageIO's name of it; "zip" for one that cannot be written.
        tile: width and height of a tile; None for strips, and for tiles too large to be held.
        big: whether offsets have 64 bits.
        extra: the ExtraSamples field: 0 unspecified, 1 premultiplied alpha, 2 straight alpha.
        fields: fields of the main directory that only TIFF can hold.
    """

    compression: str = "zip"
    tile: tuple[int, int] | None = None
    big: bool = False
    extra: int = 2
    fields: Mapping[int, ifd.Field] = field(default_factory=dict)


@dataclass(frozen=True)
class TiffBlock:
    """The strips or tiles that a TIFF file's pixels are stored in.

    Attributes:
        shape: rows, columns and samples of one.
        picture: H×W×C.
        bits: of a sample.
        compression: TIFF's number of it.
        stored: bytes of the largest one in the file, as far as the file tells.
        planar: whether each channel has blocks of its own.
    """

    shape: tuple[int, int, int]
    picture: tuple[int, int, int]
    bits: int
    compression: int
    stored: int
    planar: bool


@dataclass(frozen=True)
class TiffContents:
    """What a TIFF file holds beside its pixels.

    Attributes:
        dtype: name of the pixel type.
        coding: how the file is stored.
        metadata: what other formats can hold too.
        block: how its pixels are divided.
        white_is_zero: whether 0 is white (photometric interpretation 0).
        narrow_palette: whether its colour map holds 8 bits rather than 16, as old software wrote.
        inks: whether it holds CMYK.
    """

    dtype: str
    coding: TiffCoding
    metadata: Metadata
    block: TiffBlock
    white_is_zero: bool = False
    narrow_palette: bool = False
    inks: bool = False


def parse(buffer: ifd.Buffer) -> TiffContents:
    """Read the directories of a TIFF file.

    Args:
        buffer: the file's bytes.

    Raises:
        CodecError: the structure is damaged.
        UnsupportedError: the file holds several pictures, or pixels of an unsupported kind.
    """
    try:
        pages = ifd.directories(buffer)
        tree = ifd.parse(buffer)
    except ValueError as error:
        raise CodecError(str(error)) from error
    kinds = [_page_kind(page) for page in pages]
    if kinds[0] == "copy":
        raise UnsupportedError("begins with a reduced copy of its picture, as camera raw files do")
    if "mask" in kinds[1:]:
        raise UnsupportedError("holds a transparency mask as a page of its own, which is not read")
    count = kinds.count("picture")
    if count > 1:
        raise UnsupportedError(f"has {count} pages; only single pictures are read")
    dropped = ["Photoshop layers"] if _LAYERS in tree.main else []
    if "copy" in kinds or _SUB_DIRECTORIES in tree.main:
        dropped.append("reduced copies")
    if _TRANSFER in tree.main:
        dropped.append("transfer function")
    kept = {tag: value for tag, value in tree.main.items() if tag not in _STALE}
    tree = replace(tree, main=kept)
    dtype = _pixel_type(tree.main)
    photometric = _number(tree.main, _PHOTOMETRIC, _BLACK_IS_ZERO)
    colour_map = tree.main[_COLOUR_MAP].numbers() if _COLOUR_MAP in tree.main else ()
    return TiffContents(
        dtype,
        _coding(tree.main, ifd.is_big(buffer)),
        replace(_metadata(tree), dropped=tuple(dropped)),
        _block(tree.main, len(buffer)),
        white_is_zero=photometric == _WHITE_IS_ZERO,
        narrow_palette=photometric == _PALETTE and 0 < max(colour_map, default=0) < 256,
        inks=photometric == _INKS,
    )


def _page_kind(fields: ifd.Fields) -> str:
    """Return what a page is, by its own word, new or old: a "picture", a "copy" or a "mask"."""
    kind = _number(fields, _SUBFILE, 0)
    if kind & 1 or _number(fields, _OLD_SUBFILE, 1) == _OLD_REDUCED:
        return "copy"
    return "mask" if kind & 4 or _number(fields, _PHOTOMETRIC, 1) == _MASK else "picture"


def _number(fields: ifd.Fields, tag: int, default: int) -> int:
    values = fields[tag].integers() if tag in fields else ()
    return values[0] if values else default


def _pixel_type(fields: ifd.Fields) -> str:
    require_readable(_number(fields, _COMPRESSION, 1))
    photometric = _number(fields, _PHOTOMETRIC, 1)
    if photometric not in _COLOURS:
        kind = _KINDS.get(photometric, f"photometric {photometric}")
        raise UnsupportedError(f"is a {kind} picture; only gray, RGB and CMYK are read")
    samples, colours = _number(fields, _SAMPLES, 1), _COLOURS[photometric]
    if samples not in (colours, colours + 1) or (photometric == _PALETTE and samples != 1):
        kind = {1: "gray", 3: "RGB", 4: "CMYK"}[colours] if photometric != _PALETTE else "palette"
        raise UnsupportedError(f"is a {kind} picture with {samples} channels, which is not read")
    if photometric == _INKS and _number(fields, _INK_SET, _CMYK) != _CMYK:
        raise UnsupportedError("holds inks other than CMYK, which are not read")
    form, bits = _number(fields, _FORMAT, 1), _number(fields, _BITS, 1)
    if photometric == _INKS and (form, bits) not in ((1, 8), (1, 16)):
        raise UnsupportedError(f"is a CMYK picture with {bits}-bit samples, which is not read")
    dtype = _DTYPES.get((1 if form == 4 else form, bits))
    if dtype is None:
        word = {1: "unsigned integer", 2: "signed integer", 3: "float"}.get(form, "complex")
        raise UnsupportedError(f"has {bits}-bit {word} samples, which are not read")
    return dtype


def _block(fields: ifd.Fields, file_bytes: int) -> TiffBlock:
    width, height = _number(fields, _WIDTH, 0), _number(fields, _HEIGHT, 0)
    planar = _number(fields, _PLANES, 1) == 2
    tiled = _TILE_WIDTH in fields
    if tiled:
        rows, columns = _number(fields, _TILE_HEIGHT, 0), _number(fields, _TILE_WIDTH, 0)
    else:
        rows, columns = min(_number(fields, _ROWS, height), height), width
    counts = fields.get(_TILE_COUNTS if tiled else _COUNTS)
    largest = max(counts.integers(), default=0) if counts else 0
    samples = _number(fields, _SAMPLES, 1)
    return TiffBlock(
        (rows, columns, 1 if planar else samples),
        (height, width, samples),
        _number(fields, _BITS, 1),
        _number(fields, _COMPRESSION, 1),
        min(largest or file_bytes, file_bytes),
        planar,
    )


def _coding(fields: ifd.Fields, big: bool) -> TiffCoding:
    width, height = _number(fields, _TILE_WIDTH, 0), _number(fields, _TILE_HEIGHT, 0)
    if width * height > _LARGEST_TILE:
        width = height = 0
    return TiffCoding(
        compression=written_compression(_number(fields, _COMPRESSION, 1)),
        tile=(width, height) if width and height else None,
        big=big,
        extra=_number(fields, ifd.EXTRA_SAMPLES, 0),
        fields={
            tag: value
            for tag, value in ifd.descriptive_fields(fields).items()
            if not _portable(tag, value)
        },
    )


def _portable(tag: int, value: ifd.Field) -> bool:
    return tag != ifd.IPTC and len(value.data) <= _PORTABLE_BYTES


def _metadata(tree: ifd.Tree) -> Metadata:
    main = ifd.descriptive_fields(tree.main)

    def blob(tag: int) -> bytes | None:
        return main.pop(tag).data if tag in main else None

    icc, xmp, photoshop = blob(ifd.ICC), blob(ifd.XMP), blob(ifd.PHOTOSHOP)
    described = {tag: value for tag, value in main.items() if _portable(tag, value)}
    exif = ifd.exif_block(replace(tree, main=described))
    return Metadata(
        icc,
        exif,
        xmp,
        photoshop,
        ifd.density(described),
        aspect=ifd.aspect(described),
        chromaticities=None if icc else ifd.primaries(described),
    )


def metadata_tree(metadata: Metadata, coding: TiffCoding | None) -> ifd.Tree:
    """Return the directories that store metadata in a TIFF file.

    Args:
        metadata: of the source.
        coding: of the source, if that is a TIFF too; its private fields are kept.
    """
    tree = ifd.parse(metadata.exif) if metadata.exif else ifd.Tree()
    main = ifd.descriptive_fields(tree.main)
    if metadata.aspect:
        main.update(ifd.aspect_fields(metadata.aspect))
    elif metadata.density and ifd.density(main) is None:
        main.update(ifd.density_fields(metadata.density))
    if coding:
        main.update(coding.fields)
    for tag, kind, data in (
        (ifd.ICC, 7, metadata.icc),
        (ifd.XMP, 1, metadata.xmp),
        (ifd.PHOTOSHOP, 1, metadata.photoshop),
    ):
        if data:
            main[tag] = ifd.bytes_field(data, kind)
    return replace(tree, main=main)
