"""Read and write picture files, keeping bit depth, alpha, profile, metadata and orientation.

pyvips and OpenImageIO are loaded by the first file that needs them, so that importing the package
is quick.
"""

from drht_plugin.io._conversion import Bits, Conversion, conversion_to, parse_ground
from drht_plugin.io._formats import (
    is_jpeg_name,
    readable_suffixes,
    suffix_named,
    suffixes_of,
    writable_suffixes,
)
from drht_plugin.io._naming import result_suffix
from drht_plugin.io._picture import Picture, PictureLike
from drht_plugin.io._reading import (
    Damaged,
    PictureFile,
    PictureSize,
    open_picture,
    read_picture,
    size_of,
    upright,
)
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
from drht_plugin.io.metadata.gain_map import GainMap, GainMapValues
from drht_plugin.io.metadata.types import GAIN_MAP, MAP_LABELS, orientation

__all__ = [
    "GAIN_MAP",
    "MAP_LABELS",
    "Bits",
    "Conversion",
    "Damaged",
    "FileStatement",
    "GainMap",
    "GainMapValues",
    "Picture",
    "PictureFile",
    "PictureLike",
    "PictureSink",
    "PictureSize",
    "conversion_to",
    "create_hdr",
    "create_picture",
    "create_together",
    "is_jpeg_name",
    "open_picture",
    "orientation",
    "parse_ground",
    "read_picture",
    "readable_suffixes",
    "result_suffix",
    "size_of",
    "stated_profile",
    "statement_of",
    "suffix_named",
    "suffixes_of",
    "upright",
    "with_profile",
    "writable_suffixes",
    "write_hdr",
    "write_picture",
]
