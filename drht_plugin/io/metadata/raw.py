"""Recognise camera raw files, and read what they say of the picture."""

from collections.abc import Callable
from dataclasses import replace

from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io.metadata import exif_edit, ifd, jpeg, xmp
from drht_plugin.io.metadata.types import Metadata

_TIFF_MAGIC = (b"II*\0", b"MM\0*")
_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION = 262, 330, 50706
_MOSAIC = ((32803,), (34892,))  # colour filter array, linear raw
_MOST_SUB_DIRECTORIES = 16
_CANON = b"CR\2\0"

_KEPT = frozenset({270, 271, 272, 306, 315, 33432, ifd.XMP, ifd.IPTC})
"""Description, make, model, time, artist, copyright: what a raw file's directory says of the
picture rather than of its pixels."""

_COLOUR_SPACE, _SRGB, _NOTE, _LARGEST_NOTE = 0xA001, 1, 0x927C, 1 << 15


def is_raw(buffer: ifd.Buffer) -> bool:
    """Return whether a file that begins as TIFF is camera raw.

    Args:
        buffer: the file's bytes.
    """
    if bytes(buffer[:4]) not in _TIFF_MAGIC:
        return False
    if bytes(buffer[8:12]) == _CANON:
        return True
    try:
        header = ifd.read_header(buffer)
        main, _ = ifd.read_directory(buffer, header.first, header)
    except ValueError:
        return False
    directories = [main]
    pointers = main[_SUB_DIRECTORIES].integers() if _SUB_DIRECTORIES in main else ()
    for at in pointers[:_MOST_SUB_DIRECTORIES]:
        try:
            directories.append(ifd.read_directory(buffer, at, header)[0])
        except ValueError:
            continue
    return _DNG_VERSION in main or any(
        fields[_PHOTOMETRIC].integers()[:1] in _MOSAIC
        for fields in directories
        if _PHOTOMETRIC in fields
    )


def parse(buffer: ifd.Buffer, preview: Callable[[], bytes | None]) -> Metadata:
    """Return what a raw file says of its picture, which is developed upright and in sRGB.

    Args:
        buffer: the file's bytes.
        preview: returns the JPEG that the file brings, if any. Its EXIF counts where the file's own
            structure is not TIFF.
    """
    found = _own(buffer)
    if found is None or found.exif is None:
        beside = _of_preview(preview())
        found = beside if found is None else replace(found, exif=beside.exif)
    return _as_developed(found)


def _own(buffer: ifd.Buffer) -> Metadata | None:
    """Return the metadata of a file whose structure is TIFF; None for others."""
    try:
        tree = ifd.parse(buffer)
    except ValueError:
        return None
    main = {tag: value for tag, value in tree.main.items() if tag in _KEPT}
    packet = main.pop(ifd.XMP).data if ifd.XMP in main else None
    main.pop(ifd.IPTC, None)
    exif = ifd.exif_block(replace(tree, main=main)) if main or tree.exif else None
    return Metadata(exif=exif, xmp=packet)


def _of_preview(data: bytes | None) -> Metadata:
    if data is None:
        return Metadata()
    try:
        return Metadata(exif=jpeg.parse(data)[0].exif)
    except (CodecError, UnsupportedError, ValueError, IndexError):
        return Metadata()


def _as_developed(metadata: Metadata) -> Metadata:
    """Say in EXIF that the picture is upright and sRGB, and leave out a note that is too large."""
    if metadata.xmp:
        metadata = replace(metadata, xmp=xmp.reset_orientation(metadata.xmp))
    if metadata.exif is None:
        return metadata
    dropped: tuple[str, ...] = ()
    try:
        tree = ifd.parse(exif_edit.reset_orientation(metadata.exif))
    except ValueError:
        return replace(metadata, exif=None, dropped=("EXIF (damaged)",))
    exif = {**tree.exif, _COLOUR_SPACE: ifd.short_field(_SRGB)}
    if _NOTE in exif and len(exif[_NOTE].data) > _LARGEST_NOTE:
        del exif[_NOTE]
        dropped = ("maker's note",)
    block = ifd.exif_block(replace(tree, exif=exif, interop={}))
    return replace(metadata, exif=block, dropped=dropped)
