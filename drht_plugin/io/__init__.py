"""Picture files in and out, with bit depth, alpha, profile, metadata and orientation kept.

Importing this package is quick: pyvips and OpenImageIO are loaded by the first file that needs
them.
"""

from drht_plugin.io._atomic import replacing, reserve
from drht_plugin.io._files import (
    Picture,
    PictureFile,
    PictureSink,
    create_hdr,
    create_picture,
    open_picture,
    read_picture,
    upright,
    write_hdr,
    write_picture,
)
from drht_plugin.io._formats import readable_suffixes, writable_suffixes
from drht_plugin.io._metadata import orientation

__all__ = [
    "Picture",
    "PictureFile",
    "PictureSink",
    "create_hdr",
    "create_picture",
    "open_picture",
    "orientation",
    "read_picture",
    "readable_suffixes",
    "replacing",
    "reserve",
    "upright",
    "writable_suffixes",
    "write_hdr",
    "write_picture",
]
