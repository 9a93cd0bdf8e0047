"""Read PBM files of digits (P1), which need no blanks between them; OpenImageIO wants some."""

import re
from pathlib import Path

import numpy as np

from drht_plugin.io._errors import CodecError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Shape

MAGIC = b"P1"
_COMMENT = re.compile(rb"#[^\r\n]*")
_SIZE = re.compile(rb"P1\s+(\d{1,9})\s+(\d{1,9})(?=\s)")
_ZERO, _ONE = b"01"


class DigitReader:
    """Reader of such a file, whose pixels are held; see `_rows.Reader`.

    Raises:
        CodecError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        text = _COMMENT.sub(b"", path.read_bytes())
        size = _SIZE.match(text)
        if not size:
            raise CodecError("its header has no width and height")
        width, height = (int(number) for number in size.groups())
        codes = np.frombuffer(text, np.uint8, offset=size.end())
        digits = codes[(codes != 32) & ~((codes >= 9) & (codes <= 13))]
        wanted = width * height
        bad = (digits[:wanted] != _ZERO) & (digits[:wanted] != _ONE)
        if not wanted or len(digits) < wanted or bad.any():
            raise CodecError(f"it should have {wanted} digits, 0 or 1")
        white = (digits[:wanted] == _ZERO).astype(np.uint8) * np.uint8(255)
        self._pixels: Pixels = white.reshape(height, width, 1)
        self.shape: Shape = (height, width, 1)
        self.dtype = np.dtype(np.uint8)

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        return self._pixels[top:bottom:step].copy()

    def close(self) -> None:
        """Do nothing: the file is closed."""
