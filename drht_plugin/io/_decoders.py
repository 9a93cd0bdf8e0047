"""What decoders hold in memory, which is known before they take it.

Measured by the growth of a process that reads flat pictures of 4000² and 8000² pixels, in all
depths and kinds of chroma that their encoders write; the greatest counts.
"""

from dataclasses import dataclass
from math import prod

from drht_plugin.free_memory import free_memory
from drht_plugin.io._errors import UnsupportedError
from drht_plugin.io._rows import Shape


@dataclass(frozen=True)
class Held:
    """What a decoder holds: bytes for each pixel, for each sample, and for each byte of samples."""

    pixel: float = 0
    sample: float = 0
    byte: float = 0

    def bytes_of(self, shape: Shape, itemsize: int) -> int:
        """Return the bytes that it holds of a picture.

        Args:
            shape: H×W×C.
            itemsize: bytes of a sample.
        """
        samples = prod(shape)
        by_pixel = self.pixel * shape[0] * shape[1]
        return int(by_pixel + self.sample * samples + self.byte * samples * itemsize)


HELD = {
    "webp": Held(pixel=8),
    "avif": Held(pixel=13, byte=2),
    "heic": Held(pixel=13, byte=2),
    "heic by Pillow": Held(byte=2),
    "jxl": Held(pixel=4, byte=1.1),
    "jp2": Held(sample=4.2),
    "gif": Held(pixel=5),
    "interlaced png": Held(byte=1.2),
    "progressive jpeg": Held(sample=2),
    "raw": Held(pixel=20),
    "block": Held(byte=2),
}
"""By format, or by what a decoder must hold all at once: a block is a row of tiles, or a strip."""

LOADED = {"webp", "avif", "heic", "heic by Pillow", "jxl", "jp2", "gif"}
"""Those whose pixels are copied as a whole before the decoder is closed."""

_ALWAYS = 64 << 20
"""What a decoder may take without a look at what there is (bytes)."""


def require_room(kind: str, shape: Shape, itemsize: int) -> None:
    """Refuse a picture whose decoder would take more memory than there is.

    Args:
        kind: key of `HELD`.
        shape: H×W×C of what is decoded at once.
        itemsize: bytes of a sample.

    Raises:
        UnsupportedError: there is not enough memory.
    """
    needed = HELD[kind].bytes_of(shape, itemsize)
    if kind in LOADED:
        needed += prod(shape) * itemsize
    if needed <= _ALWAYS:
        return
    room = free_memory()
    if needed > room.bytes:
        height, width, _ = shape
        raise UnsupportedError(
            f"has {height}×{width} pixels, which are decoded all at once; this takes "
            f"{needed >> 20} MB of memory, and there are {room.bytes >> 20} MB {room.where}"
        )
