"""Which suffix the result of a picture gets, where none is asked for."""

import struct
from os import PathLike
from pathlib import Path

from drht_plugin.io._bytes import FileBytes
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._formats import FORMATS
from drht_plugin.io._recognise import format_of


def result_suffix(path: str | PathLike[str]) -> str:
    """Return the suffix, dot included, of a format that the result of a picture is written in.

    That is the picture's own suffix, unless its content is of another format, or of one that is
    only read.

    Args:
        path: of the picture. Of one that cannot be read, or is no picture, its suffix is returned.
    """
    path = Path(path)
    try:
        with FileBytes(path) as buffer:
            row = format_of(buffer)
    except (OSError, CodecError, UnsupportedError, ValueError, IndexError, struct.error):
        return path.suffix
    if row is None:
        return path.suffix
    row = FORMATS[row.successor or row.name]
    suffix = path.suffix.lower()
    if suffix in row.suffixes and suffix not in row.read_only:
        return path.suffix
    return row.suffixes[0]
