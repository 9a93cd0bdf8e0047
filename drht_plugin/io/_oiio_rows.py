"""Rows of pixels in and out of files by OpenImageIO, and its descriptions of files.

OpenImageIO does not notice a disk that fills up while a file is closed (measured for each of these
formats). So every file is read back after it is written.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from drht_plugin.errors import first_line
from drht_plugin.forks import require_own_process
from drht_plugin.io._decoders import require_room
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._exr_layers import Layer, choose_layer
from drht_plugin.io._formats import FORMATS
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import BlockReader, BlockWriter, Shape, Writer
from drht_plugin.storage import scratch_folder, temporary_folder

OIIO_NAMES = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}
"""OpenImageIO's names of pixel types."""

_DTYPES = {name: dtype for dtype, name in OIIO_NAMES.items()}
_READ_ROWS = 32
_LEAST_BYTES = 128
_LARGEST_STRIP = 16 << 20
"""Larger strips are decoded in pieces (bytes of pixels)."""
_PIECE_BYTES = 4 << 20
_WRITE_ROWS = 256  # a multiple of the rows that any of the codecs groups


class OiioReader(BlockReader):
    """Reader of rows by OpenImageIO, as they are stored; see `_rows.Reader`."""

    def __init__(
        self,
        path: Path,
        name: str,
        dtype: str | None = None,
        *,
        white_is_zero: bool = False,
        layer: str | None = None,
    ) -> None:
        self._path, self._tolerant, self._lost = path, False, False
        self._held_whole = FORMATS[name].whole
        self._source = open_file(path)
        try:
            self._layer: Layer | None = None
            self.left_out: tuple[str, ...] = ()
            if name == "exr":
                self._layer, self.left_out = choose_layer(self._source, layer)
                self._source.seek_subimage(self._layer.part, 0)
                self.spec = spec = self._layer.spec(self._source.spec())
            else:
                self.spec = spec = self._source.spec()
            dtype = dtype or _DTYPES.get(str(spec.format), str(spec.format))
            _require_supported(self._source, name, spec, dtype)
            rows, shape = _rows_together(spec), (spec.height, spec.width, spec.nchannels)
            if not self._held_whole:
                # Strips end with the picture, tiles do not.
                held = rows if spec.tile_width else min(rows, spec.height)
                block = held, max(spec.width, spec.tile_width), spec.nchannels
                require_room("block", block, np.dtype(dtype).itemsize)
        except BaseException:
            self._source.close()
            raise
        self._type = OIIO_NAMES[dtype]
        # OpenImageIO inverts TIFF's white-is-zero in 8 bits only, and alpha with it.
        self._inverted = white_is_zero and dtype == "uint8"
        super().__init__(shape, np.dtype(dtype), rows, self._decode_rows)

    def tolerate(self) -> bool:
        """Return 0 for what cannot be decoded; see `_rows.Tolerant`."""
        self._tolerant = not self._held_whole
        return self._tolerant

    def _decode_rows(self, top: int, bottom: int) -> Pixels:
        require_own_process("OpenImageIO")
        try:
            return self._decode_part(top, bottom, 0, self.shape[1])
        except CodecError:
            if not self._tolerant:
                raise
        self._reopen()
        out = np.zeros((bottom - top, *self.shape[1:]), self.dtype)
        side = self.spec.tile_width or self.shape[1]
        for first in range(top, bottom, self._rows):
            end = min(first + self._rows, bottom)
            for left in range(0, self.shape[1], side):
                right = min(left + side, self.shape[1])
                try:
                    part = self._decode_part(first, end, left, right)
                except CodecError:
                    self._reopen()
                    if not self.spec.tile_width:
                        self._decode_until_damage(out[first - top : end - top], first)
                else:
                    out[first - top : end - top, left:right] = part
        return out

    def _decode_until_damage(self, out: Pixels, top: int) -> None:
        """Decode rows of a damaged strip, from row `top` on, up to the damage.

        Libraries decode all rows above it for that, so that only one strip is worth it.
        """
        if self._lost:
            return
        self._lost = True
        try:
            for row in range(len(out)):
                out[row] = self._decode_part(top + row, top + row + 1, 0, self.shape[1])[0]
        except CodecError:
            self._reopen()

    def _reopen(self) -> None:
        self._source.close()
        self._source = open_file(self._path)

    def _decode_part(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        spec, source, layer = self.spec, self._source, self._layer
        part = layer.part if layer else 0
        begin, end = layer.span if layer else (0, spec.nchannels)
        rows, columns = bottom - top, right - left
        top, bottom = spec.y + top, spec.y + bottom
        if spec.tile_width:
            left, right = spec.x + left, spec.x + right
            pixels = source.read_tiles(
                part, 0, left, right, top, bottom, 0, 1, begin, end, self._type
            )
        else:
            pixels = source.read_scanlines(part, 0, top, bottom, 0, begin, end, self._type)
        if pixels is None or source.has_error:
            raise CodecError(first_line(source.geterror()))
        pixels = pixels.reshape(rows, columns, end - begin)
        if layer and layer.channels != tuple(range(begin, end)):
            pixels = np.ascontiguousarray(pixels[..., [c - begin for c in layer.channels]])
        return ~pixels if self._inverted else pixels

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def _rows_together(spec: Any) -> int:
    """Return how many rows are best decoded together: those of a tile or strip, if not too large.

    Strips can be decoded piece by piece, except those that hold one channel each.
    """
    rows = int(spec.tile_height or spec.getattribute("tiff:RowsPerStrip") or _READ_ROWS)
    if spec.tile_width or spec.getattribute("planarconfig") == "separate":
        return rows
    row_bytes = spec.width * spec.nchannels * spec.format.size()
    return rows if rows * row_bytes <= _LARGEST_STRIP else max(_PIECE_BYTES // row_bytes, 1)


def open_file(path: Path) -> Any:
    require_own_process("OpenImageIO")
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # do not premultiply on reading
    with _filled_up(path) as readable:
        source = oiio.ImageInput.open(str(readable), config)
    if source is None:
        said = first_line(oiio.geterror())
        if "supported" in said:  # "not supported", "unsupported", "only … are supported"
            raise UnsupportedError(f"is of a kind that is not read ({said})")
        raise CodecError(said)
    return source


@contextmanager
def _filled_up(path: Path) -> Iterator[Path]:
    """Give the path of a file that is long enough for OpenImageIO to recognise it.

    It takes JPEG XL files of less than 128 bytes, as of flat pictures, for damaged. It reads the
    whole file when it opens it, so that a copy may go then.
    """
    if path.suffix.lower() not in FORMATS["jxl"].suffixes or path.stat().st_size >= _LEAST_BYTES:
        yield path
        return
    with scratch_folder(temporary_folder()) as folder:
        copy = folder / "file.jxl"
        copy.write_bytes(path.read_bytes().ljust(_LEAST_BYTES, b"\0"))
        yield copy


def _require_supported(source: Any, name: str, spec: Any, dtype: str) -> None:
    if spec.deep:
        raise UnsupportedError("is a deep picture, which is not read")
    if spec.nchannels > 4:
        raise UnsupportedError(f"has {spec.nchannels} channels; at most 4 are read")
    stored = {_DTYPES.get(str(kind), str(kind)) for kind in spec.channelformats} or {dtype}
    for kind in (dtype, *stored):
        if kind not in OIIO_NAMES:
            raise UnsupportedError(f"has {kind} samples, which are not read")
    if name not in ("tiff", "exr") and source.seek_subimage(1, 0):
        raise UnsupportedError("has several parts or pages; only single pictures are read")


def spec_for(shape: Shape, dtype: np.dtype[Any]) -> Any:
    height, width, channels = shape
    spec = oiio.ImageSpec(width, height, channels, OIIO_NAMES[dtype.name])
    if channels == 2:  # OpenImageIO would name them R and G
        spec.channelnames = ("Y", "A")
        spec.alpha_channel = 1
    return spec


def create_file(path: Path, spec: Any) -> Any:
    require_own_process("OpenImageIO")
    if spec.getattribute("DateTime") is None:
        spec.attribute("DateTime", "")  # or OpenImageIO would write the present time
    target: Any = oiio.ImageOutput.create(str(path))
    if target is None:
        raise CodecError(first_line(oiio.geterror()))
    if not target.open(str(path), spec):
        raise CodecError(first_line(target.geterror()))
    return target


class ConvertingWriter:
    """Writer that converts rows before another writer stores them."""

    def __init__(self, target: Writer, convert: Callable[[Pixels], Pixels]) -> None:
        self._target, self._convert = target, convert
        self.finish, self.close = target.finish, target.close

    def write(self, rows: Pixels) -> None:
        """Convert and write the next rows."""
        self._target.write(self._convert(rows))


class OiioWriter(BlockWriter):
    """Writer of rows by OpenImageIO; see `_rows.Writer`.

    Args:
        path: of the new file.
        spec: OpenImageIO's description of it.
        dtype: of the rows.
        embed: adds metadata to the file once its pixels are stored.
    """

    def __init__(
        self,
        path: Path,
        spec: Any,
        dtype: np.dtype[Any],
        embed: Callable[[], None] | None = None,
    ) -> None:
        self._path, self._spec, self._embed = path, spec, embed
        shape = (spec.height, spec.width, spec.nchannels)
        super().__init__(shape, dtype, spec.tile_height or _WRITE_ROWS, self._store)
        self._target = create_file(path, spec)

    def _store(self, top: int, rows: Pixels) -> None:
        spec = self._spec
        top += spec.y
        if spec.tile_width:
            right = spec.x + spec.width
            succeeded = self._target.write_tiles(spec.x, right, top, top + len(rows), 0, 1, rows)
        else:
            succeeded = self._target.write_scanlines(top, top + len(rows), 0, rows)
        if not succeeded:
            raise CodecError(first_line(self._target.geterror()))

    def finish(self) -> None:
        """Close the file, embed its metadata and read it back.

        Raises:
            CodecError: the file is not complete.
            OSError: the metadata cannot be written.
            ValueError: the metadata does not fit.
        """
        target, self._target = self._target, None
        if not target.close():
            raise CodecError(first_line(target.geterror()))
        if self._embed is not None:
            self._embed()
        verify(self._path)

    def close(self) -> None:
        """Close an unfinished file."""
        target, self._target = self._target, None
        if target is not None:
            target.close()


def verify(path: Path) -> None:
    """Decode a file that was just written, in bands to save memory."""
    source = open_file(path)
    try:
        spec = source.spec()
        step = spec.tile_height or _WRITE_ROWS
        for top in range(spec.y, spec.y + spec.height, step):
            bottom = min(top + step, spec.y + spec.height)
            if spec.tile_width:
                right = spec.x + spec.width
                band = source.read_tiles(
                    0, 0, spec.x, right, top, bottom, 0, 1, 0, spec.nchannels, spec.format
                )
            else:
                band = source.read_scanlines(0, 0, top, bottom, 0, 0, spec.nchannels, spec.format)
            if band is None:
                raise CodecError(f"not stored completely ({first_line(source.geterror())})")
    finally:
        source.close()
