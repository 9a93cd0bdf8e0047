"""TIFF files of any photometric interpretation and depth, written byte by byte."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Order = Literal["<", ">"]
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}


def packed(samples: NDArray[Any], bits: int, order: Order) -> bytes:
    """Return samples, rows of whole numbers or floats, packed as TIFF does, each row in bytes.

    Args:
        samples: H×N.
        bits: per sample; 8, 16 and more are whole words.
        order: "<" or ">", of words.
    """
    if bits % 8 == 0:
        return samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    spread = (samples[..., None].astype(np.uint32) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(spread.reshape(len(samples), -1).astype(np.uint8), axis=1).tobytes()


def tiff_bytes(
    samples: NDArray[Any],
    *,
    photometric: int,
    bits: int,
    order: Order = "<",
    planar: bool = False,
    extra: int | None = None,
    rows: int = 0,
    form: int = 1,
    fields: Mapping[int, tuple[int, Sequence[int]]] | None = None,
) -> bytes:
    """Return an uncompressed TIFF file in strips.

    Args:
        samples: H×W×C, as they are to be stored.
        photometric: PhotometricInterpretation.
        bits: BitsPerSample.
        order: byte order, "<" or ">".
        planar: whether each channel has strips of its own.
        extra: ExtraSamples of the last channel; None for no such field.
        rows: of a strip; 0 for one strip.
        form: SampleFormat.
        fields: further fields: tag → type and whole numbers (two for each rational).
    """
    height, width, channels = samples.shape
    rows = rows or height
    planes = [samples[..., c : c + 1] for c in range(channels)] if planar else [samples]
    strips = [
        packed(plane[top : top + rows].reshape(-1, width * plane.shape[2]), bits, order)
        for plane in planes
        for top in range(0, height, rows)
    ]
    starts = [8 + sum(map(len, strips[:n])) for n in range(len(strips))]
    table: dict[int, tuple[int, Sequence[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * channels),
        259: (3, [1]),
        262: (3, [photometric]),
        273: (4, starts),
        277: (3, [channels]),
        278: (4, [rows]),
        279: (4, [len(strip) for strip in strips]),
        284: (3, [2 if planar else 1]),
        339: (3, [form] * channels),
        **({} if extra is None else {338: (3, [extra])}),
        **(fields or {}),
    }
    body = b"".join(strips)
    body += b"\0" * (len(body) % 2)
    at = 8 + len(body)
    entries, values = b"", b""
    end = at + 2 + 12 * len(table) + 4
    letters = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B"}
    for tag in sorted(table):
        kind, numbers = table[tag]
        data = struct.pack(f"{order}{len(numbers)}{letters[kind]}", *numbers)
        count = len(data) // _SIZES[kind]
        entries += struct.pack(order + "HHI", tag, kind, count)
        if len(data) > 4:
            entries += struct.pack(order + "I", end + len(values))
            values += data + b"\0" * (len(data) % 2)
        else:
            entries += data.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at)
    return head + body + struct.pack(order + "H", len(table)) + entries + bytes(4) + values
