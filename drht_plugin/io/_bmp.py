"""Read BMP pixels of 16 and 32 bits, whose masks and spare byte OpenImageIO does not obey."""

from pathlib import Path

import numpy as np

from drht_plugin.io._errors import CodecError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._plausible import require_bytes
from drht_plugin.io._rows import BlockReader
from drht_plugin.io.metadata.bmp import BmpContents
from drht_plugin.io.metadata.ifd import Buffer

_ROWS = 64
_CUT_RATIO = 64
"""How many times larger than the file the pixels of one that is cut off may be."""


class MaskedReader(BlockReader):
    """Reader of the rows of pixels that masks divide into channels; see `_rows.Reader`.

    Args:
        path: of the file.
        contents: what its header states, with masks.
        buffer: its bytes.

    Raises:
        CodecError: the file is far too small for its pixels.
    """

    def __init__(self, path: Path, contents: BmpContents, buffer: Buffer) -> None:
        assert contents.masks is not None
        self._contents, self._tolerant = contents, False
        self._stored = np.dtype("<u4" if contents.bits == 32 else "<u2")
        # Rows are filled up to four bytes.
        self._stride = (contents.width * self._stored.itemsize + 3) // 4 * 4
        given = (contents.height, contents.width, 1)
        require_bytes(given, self._stored.itemsize, len(buffer), _CUT_RATIO)
        *colours, alpha = contents.masks
        if contents.spare and self._is_used(buffer, contents.spare):
            alpha = contents.spare
        self._masks = [*colours, alpha] if alpha else colours
        deep = any(mask.bit_count() > 8 for mask in self._masks)
        self._file = open(path, "rb")  # noqa: SIM115 (closed by `close`)
        shape = (contents.height, contents.width, len(self._masks))
        super().__init__(shape, np.dtype(np.uint16 if deep else np.uint8), _ROWS, self._decode)

    def _is_used(self, buffer: Buffer, mask: int) -> bool:
        """Return whether any pixel has a bit of a mask; stops at the first."""
        contents = self._contents
        for top in range(0, contents.height, _ROWS):
            rows = min(_ROWS, contents.height - top)
            start = contents.pixels + top * self._stride
            data = bytes(buffer[start : start + rows * self._stride])
            words = np.frombuffer(data, self._stored, len(data) // self._stored.itemsize)
            if (words & np.uint32(mask)).any():
                return True
        return False

    def tolerate(self) -> bool:
        """Return 0 for what the file does not hold; see `_rows.Tolerant`."""
        self._tolerant = True
        return True

    def _decode(self, top: int, bottom: int) -> Pixels:
        contents = self._contents
        first = top if contents.top_down else contents.height - bottom
        self._file.seek(contents.pixels + first * self._stride)
        size = (bottom - top) * self._stride
        data = self._file.read(size)
        if len(data) < size:
            if not self._tolerant:
                raise CodecError("its pixels end early")
            data = data.ljust(size, b"\0")
        rows = np.frombuffer(data, self._stored).reshape(bottom - top, -1)[:, : contents.width]
        rows = rows if contents.top_down else rows[::-1]
        out = np.empty((*rows.shape, len(self._masks)), self.dtype)
        for channel, mask in enumerate(self._masks):
            shift = (mask & -mask).bit_length() - 1
            out[..., channel] = self._scaled((rows & mask) >> shift, mask >> shift)
        return out

    def _scaled(self, values: Pixels, top: int) -> Pixels:
        """Stretch values of 0 to `top` over those of the dtype."""
        most = np.iinfo(self.dtype).max
        return values if top == most else np.rint(values * (most / top)).astype(self.dtype)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
