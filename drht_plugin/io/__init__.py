"""Read and write picture files, keeping bit depth, alpha, profile, metadata and orientation.

pyvips and OpenImageIO are loaded by the first file that needs them, so that importing the package
is quick.
"""

from drht_plugin.io._conversion import Bits, Conversion, conversion_to, parse_ground
from drht_plugin.io._formats import readable_suffixes, writable_suffixes
from drht_plugin.io._naming import result_suffix
from drht_plugin.io._picture import Picture
from drht_plugin.io._reading import Damaged, PictureFile, open_picture, read_picture, upright
from drht_plugin.io._stated import FileStatement, statement_of
from drht_plugin.io._writing import (
    PictureSink,
    create_hdr,
    create_picture,
    create_together,
    write_hdr,
    write_picture,
)
from drht_plugin.io.metadata.colour import stated_profile, with_profile
from drht_plugin.io.metadata.types import orientation

__all__ = [
    "Bits",
    "Conversion",
    "Damaged",
    "FileStatement",
    "Picture",
    "PictureFile",
    "PictureSink",
    "conversion_to",
    "create_hdr",
    "create_picture",
    "create_together",
    "open_picture",
    "orientation",
    "parse_ground",
    "read_picture",
    "readable_suffixes",
    "result_suffix",
    "stated_profile",
    "statement_of",
    "upright",
    "with_profile",
    "writable_suffixes",
    "write_hdr",
    "write_picture",
]
