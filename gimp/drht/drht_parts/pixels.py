"""Pixels of a layer, as they pass between GIMP and the worker."""

import os

from gi.repository import Babl, Gegl

from .problem import Problem
from .text import _

_DTYPES = {"u8": "uint8", "u16": "uint16", "half": "float16", "float": "float32"}
_BYTES = {"uint8": 1, "uint16": 2, "float16": 2, "float32": 4}
_BAND_BYTES = 4 << 20


class PixelFormat:
    """How a layer's pixels are passed to the worker.

    They keep the layer's colour space and encoding. Precisions that the worker does not support,
    32-bit integers and doubles, are converted to floats.

    Args:
        drawable: the layer.
    """

    def __init__(self, drawable):
        own = drawable.get_format()
        # Such as "R'G'B'A u8": the components of a pixel, and their type.
        components, _, kind = Babl.format_get_encoding(own).rpartition(" ")
        self.dtype = _DTYPES.get(kind, "float32")
        name = "float" if kind not in _DTYPES else kind
        self.channels = (3 if "G" in components else 1) + components.endswith("A")
        # Components marked with ' or ~ are display-encoded.
        self.transfer = "srgb" if "'" in components or "~" in components else "linear"
        space = Babl.format_get_space(own)
        self.format = Babl.get_name(Babl.format_with_space(f"{components} {name}", space))
        self.pixel_bytes = self.channels * _BYTES[self.dtype]


class Picture:
    """A picture in a file shared with the worker, which holds the pixels and then the result.

    Args:
        reply: the worker's reply, with the file.
        layout: format of the pixels.
        width: width in pixels.
        height: height in pixels.

    Raises:
        Problem: the file cannot be opened.
    """

    def __init__(self, reply, layout, width, height):
        self.number, self.width, self.height = reply["picture"], width, height
        self.row_bytes = width * layout.pixel_bytes
        self._result, self._layout = reply["result"], layout
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_TEMPORARY", 0)
        try:
            self._file = os.fdopen(os.open(reply["path"], flags), "r+b", buffering=0)
        except OSError as error:
            text = _(
                "The worker's file {path} cannot be opened: {reason}. GIMP and the worker must "
                "have access to the same folders."
            )
            raise Problem(text.format(path=reply["path"], reason=error.strerror)) from error

    def read_from(self, buffer):
        """Copy the pixels from a GEGL buffer, in steps."""
        for rectangle, place in self._bands():
            # There is no buffer of a layer that was removed meanwhile.
            data = buffer and buffer.get(rectangle, 1.0, self._layout.format, Gegl.AbyssPolicy.NONE)
            if len(data or b"") != rectangle.height * self.row_bytes:
                raise Problem(_("GIMP returned fewer pixels than the layer has."))
            self._file.seek(place)
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            yield (rectangle.y + rectangle.height) / self.height

    def write_to(self, buffer):
        """Copy the result into a GEGL buffer, in steps."""
        for rectangle, place in self._bands():
            data = self._read(self._result + place, rectangle.height * self.row_bytes)
            buffer.set(rectangle, self._layout.format, data)
            yield (rectangle.y + rectangle.height) / self.height

    def pixels(self):
        """Return all pixels as bytes."""
        return self._read(0, self.height * self.row_bytes)

    def result(self):
        """Return all pixels of the result as bytes."""
        return self._read(self._result, self.height * self.row_bytes)

    def _bands(self):
        """Yield rectangles of whole rows, and the position of each in the file."""
        rows = max(1, _BAND_BYTES // self.row_bytes)
        for top in range(0, self.height, rows):
            count = min(rows, self.height - top)
            yield Gegl.Rectangle.new(0, top, self.width, count), top * self.row_bytes

    def _read(self, place, count):
        self._file.seek(place)
        parts = []
        while count:
            part = self._file.read(count)
            if not part:
                raise Problem(_("The worker's file is shorter than announced."))
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
