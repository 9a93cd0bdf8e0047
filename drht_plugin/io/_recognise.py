"""Recognise the format of a file by its content."""

from drht_plugin.io._formats import FORMATS, HEADER_BYTES, Format, sniff
from drht_plugin.io.metadata import raw
from drht_plugin.io.metadata.ifd import Buffer


def format_of(buffer: Buffer) -> Format | None:
    """Return the format of a file; None for one that is not read.

    Args:
        buffer: the file's bytes.
    """
    found = sniff(buffer[:HEADER_BYTES]) or ""
    if found == "tiff" and raw.is_raw(buffer):  # most cameras' files begin as TIFF does
        found = "raw"
    return FORMATS.get(found)
