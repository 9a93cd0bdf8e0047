"""Take from an image's metadata what shows or claims the picture as it was."""

from __future__ import annotations

from collections.abc import Callable

import pyvips

from drht_plugin.io.metadata.claims import sanitise
from drht_plugin.io.metadata.types import Metadata

_EXIF, _RESOURCES = b"Exif\0\0", b"Photoshop 3.0\0"
_PICTURES = ("jpeg-thumbnail-data", "gainmap-data", "gainmap")
_THUMBNAIL_FIELDS = "exif-ifd1-"


def _clean_exif(data: bytes) -> bytes | None:
    head = _EXIF if data.startswith(_EXIF) else b""
    kept = sanitise(Metadata(exif=data[len(head) :])).exif
    return None if kept is None else head + kept


def _clean_xmp(data: bytes) -> bytes | None:
    return sanitise(Metadata(xmp=data)).xmp


def _clean_resources(data: bytes) -> bytes | None:
    head = _RESOURCES if data.startswith(_RESOURCES) else b""
    if not head and not data.startswith(b"8BIM"):
        return data  # plain IPTC
    kept = sanitise(Metadata(photoshop=data[len(head) :])).photoshop
    return None if kept is None else head + kept


_BLOBS: dict[str, Callable[[bytes], bytes | None]] = {
    "exif-data": _clean_exif,
    "xmp-data": _clean_xmp,
    "photoshop-data": _clean_resources,
    "iptc-data": _clean_resources,  # a JPEG's resources as a whole
}


def without_old_picture(image: pyvips.Image) -> pyvips.Image:
    """Remove thumbnails and gain maps, and what names them, as `drht correct` does for files.

    Args:
        image: any image.

    Returns:
        The image, or a copy with other metadata.
    """
    changed: dict[str, bytes | None] = {
        name: None
        for name in image.get_fields()
        if name in _PICTURES or name.startswith(_THUMBNAIL_FIELDS)
    }
    for name, clean in _BLOBS.items():
        if image.get_typeof(name):
            data = bytes(image.get(name))
            kept = clean(data)
            if kept != data:
                changed[name] = kept
    if not changed:
        return image
    copy = image.copy()
    for name, kept in changed.items():
        if kept is None:
            copy.remove(name)
        else:
            copy.set_type(pyvips.GValue.blob_type, name, kept)
    return copy
