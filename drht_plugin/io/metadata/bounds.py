"""Bounds on what the metadata of one file may take: bytes of memory, and steps.

They are derived from the file's own size. What lies in a file once cannot be larger than the file,
so parts that claim more lie over one another; and a file has far fewer parts than bytes.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

MOST_PARTS = 10_000
"""Parts beside the pixels (chunks, segments, boxes) that a file of any size may have."""

_BYTES_PER_PART = 512
"""A larger file may have one more for each so many bytes; encoders store pixels in larger parts."""

_SLACK = 1 << 16
"""Bytes that small fields may share, such as one density for both directions."""

_INFLATED_AT_LEAST, _INFLATED_MOST, _INFLATED_RATIO = 4 << 20, 256 << 20, 16
"""Bytes that a compressed part may always unpack to, and never more than, and in between times its
own size. Text with padding and profiles with plain tables lie below."""

_MOST_FIELDS = 1 << 18
"""Fields that all directories of a TIFF file may have together."""

_Part = TypeVar("_Part")


def bounded(parts: Iterable[_Part], file_bytes: int, name: str) -> Iterator[_Part]:
    """Yield the parts of a file; stop one that has absurdly many.

    Args:
        parts: chunks, segments or boxes, in order.
        file_bytes: size of the file.
        name: what the parts are called, in the plural.

    Raises:
        ValueError: there are too many.
    """
    most = MOST_PARTS + file_bytes // _BYTES_PER_PART
    for number, part in enumerate(parts):
        if number == most:
            raise ValueError(f"it has more than {most} {name}")
        yield part


def inflate(data: bytes) -> bytes:
    """Unpack a zlib stream of metadata.

    Args:
        data: the stream; what follows it is ignored.

    Raises:
        ValueError: the stream is damaged or cut off, or unpacks to far more than such data does.
    """
    most = _most_unpacked(data)
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(data, most)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not stream.eof:
        filled = len(unpacked) == most
        raise ValueError(f"unpacks to more than {most} bytes" if filled else "is cut off")
    return unpacked


class Allowance:
    """Amount that may still be taken, of bytes that each should be taken once, or of steps.

    Args:
        amount: that may be taken altogether.
    """

    def __init__(self, amount: int) -> None:
        self._left = amount

    def take(self, count: int) -> bool:
        """Take some; return False, and take none, if that is more than is left."""
        if count > self._left:
            return False
        self._left -= count
        return True


class DirectoryBounds:
    """What reading the directories of one buffer may still take, as none should overlap.

    Attributes:
        tables: bytes of the directories themselves.
        values: bytes of values outside of them.
        fields: number of fields.
    """

    def __init__(self, buffer_bytes: int) -> None:
        self.tables = Allowance(buffer_bytes + _SLACK)
        self.values = Allowance(buffer_bytes + _SLACK)
        self.fields = Allowance(_MOST_FIELDS)


def unpack_brotli(data: bytes) -> bytes:
    """Unpack a Brotli stream of metadata.

    Args:
        data: the stream.

    Raises:
        ValueError: the stream is damaged or cut off, or unpacks to far more than such data does.
    """
    import brotli

    most = _most_unpacked(data)
    stream, parts, size = brotli.Decompressor(), [], 0
    try:
        parts.append(stream.process(data, output_buffer_limit=most))
        while not stream.is_finished() and not stream.can_accept_more_data():
            size += len(parts[-1])
            if size > most:
                raise ValueError("its metadata unpacks to far more than is usual")
            parts.append(stream.process(b"", output_buffer_limit=most))
    except brotli.error as error:
        raise ValueError("its metadata cannot be unpacked") from error
    if not stream.is_finished():
        raise ValueError("its metadata is cut off")
    return b"".join(parts)


def _most_unpacked(data: bytes) -> int:
    return min(max(_INFLATED_AT_LEAST, _INFLATED_RATIO * len(data)), _INFLATED_MOST)
