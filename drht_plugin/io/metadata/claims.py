"""Drop metadata that is damaged, or that shows or claims the picture as it was."""

from dataclasses import replace

from drht_plugin.io.metadata import exif_edit, ifd, photoshop, xmp
from drht_plugin.io.metadata.types import Metadata

_ICC_HEADER = 128
_ICC_MARK = (36, b"acsp")


def sanitise(metadata: Metadata) -> Metadata:
    """Drop what a corrected picture must not have beside it, and list it in `Metadata.dropped`.

    Args:
        metadata: as a backend read it.
    """
    dropped = dict.fromkeys(metadata.dropped)
    metadata, labels = _clean_exif(metadata)
    dropped.update(dict.fromkeys(labels))
    metadata, labels = _clean_xmp(metadata)
    dropped.update(dict.fromkeys(labels))
    if metadata.photoshop is not None:
        kept, labels = photoshop.without_claims(metadata.photoshop)
        metadata = replace(metadata, photoshop=kept or None)
        dropped.update(dict.fromkeys(labels))
    if metadata.icc is not None and not _is_profile(metadata.icc):
        metadata = replace(metadata, icc=None)
        dropped["ICC profile (damaged)"] = None
    return replace(metadata, dropped=tuple(dropped))


def _clean_exif(metadata: Metadata) -> tuple[Metadata, tuple[str, ...]]:
    if metadata.exif is None:
        return metadata, ()
    try:
        exif, dropped = exif_edit.without_claims(metadata.exif)
        density = metadata.density or ifd.density(ifd.parse(exif).main)
    except ValueError:
        return replace(metadata, exif=None), ("EXIF (damaged)",)
    return replace(metadata, exif=exif, density=density), dropped


def _clean_xmp(metadata: Metadata) -> tuple[Metadata, tuple[str, ...]]:
    """Clean the packet and its extension, which is named by the hash of its bytes."""
    packet, extension = metadata.xmp, metadata.extended_xmp
    dropped: dict[str, None] = {}
    if extension is not None:
        try:
            kept, labels = xmp.without_claims(extension)
        except ValueError:
            kept, labels = b"", ("extended XMP (damaged)",)
        dropped.update(dict.fromkeys(labels))
        if packet is not None and kept != extension:
            packet = xmp.rename_extension(packet, kept)
        extension = kept or None
    if packet is not None:
        try:
            packet, labels = xmp.without_claims(packet, extended=extension is not None)
        except ValueError:
            packet, labels = None, ("XMP (damaged)",)
        dropped.update(dict.fromkeys(labels))
    if packet is None and extension is not None:  # nothing points to it any more
        extension, dropped["extended XMP"] = None, None
    return replace(metadata, xmp=packet, extended_xmp=extension), tuple(dropped)


def without_extension(metadata: Metadata) -> tuple[Metadata, tuple[str, ...]]:
    """Drop extended XMP, and the pointer to it, for formats that cannot hold it.

    Args:
        metadata: that `sanitise` has cleaned.

    Returns:
        The metadata, and what was dropped, in plain words.
    """
    if metadata.extended_xmp is None or metadata.xmp is None:
        return metadata, ()
    packet, dropped = xmp.without_claims(metadata.xmp, extended=False)
    return replace(metadata, xmp=packet, extended_xmp=None), dropped


def _is_profile(icc: bytes) -> bool:
    """Return whether bytes are an ICC profile, and all of it."""
    at, mark = _ICC_MARK
    size = int.from_bytes(icc[:4], "big")
    return len(icc) > _ICC_HEADER and icc[at : at + 4] == mark and _ICC_HEADER < size <= len(icc)
