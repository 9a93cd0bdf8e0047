"""Read from JPEG XL codestreams what OpenImageIO does not tell, or too late: it decodes to open.

Follows ISO/IEC 18181-1: the headers of size and metadata, bit by bit.
"""

from dataclasses import dataclass

from drht_plugin.io.metadata.boxes import boxes
from drht_plugin.io.metadata.ifd import Buffer

_HEAD_BYTES = 8192  # more than 16 extra channels with long names take
_SIGNATURE = b"\xff\x0a"
_ALPHA, _SPOT, _CFA = 0, 2, 5
_GRAY = 1
_MOST_CHANNELS = 16

Choice = tuple[int, int]
"""Number of bits, and what is added to them."""

_SIDE: tuple[Choice, ...] = ((9, 1), (13, 1), (18, 1), (30, 1))
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, of those that the size names by a number from 1."""

_PREVIEW_EIGHTHS: tuple[Choice, ...] = ((0, 16), (0, 32), (5, 1), (9, 33))
_PREVIEW_SIDE: tuple[Choice, ...] = ((6, 1), (8, 65), (10, 321), (12, 1345))
_ANIMATION: tuple[tuple[Choice, ...], ...] = (
    ((0, 100), (0, 1000), (10, 1), (30, 1)),
    ((0, 1), (0, 1001), (8, 1), (10, 1)),
    ((0, 0), (3, 0), (16, 0), (32, 0)),
)
_DEPTHS: tuple[tuple[Choice, ...], ...] = (
    ((0, 8), (0, 10), (0, 12), (6, 1)),
    ((0, 32), (0, 16), (0, 24), (6, 1)),
)
_COUNT: tuple[Choice, ...] = ((0, 0), (0, 1), (4, 2), (12, 1))
_ENUM: tuple[Choice, ...] = ((0, 0), (0, 1), (4, 2), (6, 18))
_SHIFT: tuple[Choice, ...] = ((0, 0), (0, 3), (0, 4), (3, 1))
_NAME: tuple[Choice, ...] = ((0, 0), (4, 0), (5, 16), (10, 48))
_CFA_CHANNEL: tuple[Choice, ...] = ((0, 1), (2, 0), (4, 3), (8, 19))


class _Bits:
    """Bits of a codestream, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        """Return the next bits as a number.

        Raises:
            ValueError: the data end.
        """
        if count > self._left:
            raise ValueError("its header is cut off")
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return taken

    def choose(self, choices: tuple[Choice, ...]) -> int:
        """Return a number that is coded in one of four ways."""
        count, added = choices[self.take(2)]
        return self.take(count) + added


@dataclass(frozen=True)
class JxlHeader:
    """What a codestream states of its pixels.

    Attributes:
        premultiplied: whether colours are multiplied by the first alpha channel.
        lossy: whether pixels are coded in XYB, which no encoder does without loss, or are a JPEG's.
        shape: H×W×C, as stored. All extra channels count.
        itemsize: bytes of a sample as it is read: 1, 2 or 4.
        animated: whether its frames are shown one after the other.
    """

    premultiplied: bool
    lossy: bool
    shape: tuple[int, int, int]
    itemsize: int
    animated: bool = False


def read_header(buffer: Buffer) -> JxlHeader:
    """Read what a file states of its pixels.

    Args:
        buffer: the file's bytes.

    Raises:
        ValueError: the header is damaged.
    """
    bits = _Bits(_codestream(buffer))
    height, width = _read_size(bits)
    if bits.take(1):  # all by default: no extra channels, and XYB
        return JxlHeader(premultiplied=False, lossy=True, shape=(height, width, 3), itemsize=1)
    animated = bool(bits.take(1)) and _read_extra_fields(bits)
    itemsize = _read_depth(bits)
    bits.take(1)
    premultiplied: bool | None = None
    extra = bits.choose(_COUNT)
    for _ in range(min(extra, _MOST_CHANNELS)):
        if bits.take(1):  # alpha by default, which is straight
            premultiplied = False if premultiplied is None else premultiplied
            continue
        kind = bits.choose(_ENUM)
        _read_depth(bits)
        bits.choose(_SHIFT)
        bits.take(8 * bits.choose(_NAME))
        if kind == _ALPHA:
            associated = bool(bits.take(1))
            premultiplied = associated if premultiplied is None else premultiplied
        elif kind == _SPOT:
            bits.take(4 * 16)
        elif kind == _CFA:
            bits.choose(_CFA_CHANNEL)
    lossy = bool(bits.take(1)) or any(kind == b"jbrd" for _, kind, *_ in boxes(buffer))
    shape = height, width, _read_colours(bits) + extra
    return JxlHeader(bool(premultiplied), lossy, shape, itemsize, animated)


def _codestream(buffer: Buffer) -> bytes:
    """Return the first bytes of the codestream, after its signature."""
    start = 0
    if buffer[:2] != _SIGNATURE:
        parts = {kind: first for _, kind, first, _ in reversed(list(boxes(buffer)))}
        start = parts[b"jxlp"] + 4 if b"jxlp" in parts else parts.get(b"jxlc", len(buffer))
    return bytes(buffer[start + len(_SIGNATURE) : start + _HEAD_BYTES])


def _read_size(bits: _Bits) -> tuple[int, int]:
    """Return height and width."""
    eighths = bits.take(1)

    def side() -> int:
        return 8 * (bits.take(5) + 1) if eighths else bits.choose(_SIDE)

    height, ratio = side(), bits.take(3)
    if not ratio:
        return height, side()
    across, down = _RATIOS[ratio - 1]
    return height, height * across // down


def _read_extra_fields(bits: _Bits) -> bool:
    """Return whether the picture is an animation."""
    bits.take(3)  # the orientation, which the decoder obeys
    if bits.take(1):
        _read_size(bits)
    if bits.take(1):
        choices = _PREVIEW_EIGHTHS if bits.take(1) else _PREVIEW_SIDE
        bits.choose(choices)
        if not bits.take(3):
            bits.choose(choices)
    animated = bool(bits.take(1))
    if animated:
        for choices in _ANIMATION:
            bits.choose(choices)
        bits.take(1)
    return animated


def _read_depth(bits: _Bits) -> int:
    """Return the bytes of a sample as it is read."""
    is_float = bits.take(1)
    depth = bits.choose(_DEPTHS[is_float])
    if is_float:
        bits.take(4)
        return 4
    return 1 if depth <= 8 else 2


def _read_colours(bits: _Bits) -> int:
    """Return how many channels hold colours."""
    if bits.take(1):  # sRGB by default
        return 3
    bits.take(1)
    return 1 if bits.choose(_ENUM) == _GRAY else 3
