"""Change bytes of a valid file: blindly, and in the places that parsers believe."""

from __future__ import annotations

import struct
import zlib

import numpy as np

Random = np.random.Generator

_BYTES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)
_SMALL = (0, 1, 2, 0x7F, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000)
_WORDS = (*_SMALL, 0xFFFFFFFF, 0xFFFFFFF0, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def mutate(data: bytes, other: bytes, random: Random) -> bytes:
    """Return a file with one to eight changes.

    Args:
        data: a valid file.
        other: another file, of which parts are taken over.
        random: decides what is changed.
    """
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 4)) if random.random() < 0.8 else 8):
        kind = _KINDS[int(random.integers(len(_KINDS)))]
        kind(changed, other, random)
        if not changed:
            break
    repaired = bytes(changed)
    if repaired.startswith(b"\x89PNG") and random.random() < 0.8:
        repaired = repair_png(repaired)
    return repaired


def _place(data: bytearray, random: Random) -> int:
    """Return a place; the first kilobyte, which holds most of what is parsed, comes up more."""
    end = min(len(data), 1024) if random.random() < 0.6 else len(data)
    return int(random.integers(max(end, 1)))


def _flip(data: bytearray, _other: bytes, random: Random) -> None:
    if data:
        data[_place(data, random)] ^= 1 << int(random.integers(8))


def _set(data: bytearray, _other: bytes, random: Random) -> None:
    if data:
        value = random.choice(_BYTES) if random.random() < 0.7 else random.integers(256)
        data[_place(data, random)] = int(value)


def _word(data: bytearray, _other: bytes, random: Random) -> None:
    """Write a number that is often mistaken, of two, four or eight bytes."""
    size = (2, 4, 8)[int(random.integers(3))]
    at = _place(data, random)
    value = _WORDS[int(random.integers(len(_WORDS)))] & ((1 << 8 * size) - 1)
    order = "little" if random.random() < 0.5 else "big"
    if at + size <= len(data):
        data[at : at + size] = value.to_bytes(size, order)  # type: ignore[arg-type]


def _count(data: bytearray, _other: bytes, random: Random) -> None:
    """Change a number by a little, which moves what follows it."""
    at, order = _place(data, random), "<" if random.random() < 0.5 else ">"
    if at + 4 <= len(data):
        (value,) = struct.unpack_from(order + "I", data, at)
        step = int(random.choice([-16, -2, -1, 1, 2, 16, 255]))
        struct.pack_into(order + "I", data, at, (value + step) & 0xFFFFFFFF)


def _cut(data: bytearray, _other: bytes, random: Random) -> None:
    del data[_place(data, random) :]


def _grow(data: bytearray, _other: bytes, random: Random) -> None:
    block = bytes([int(random.choice(_BYTES))]) * int(1 << random.integers(0, 17))
    at = _place(data, random) if random.random() < 0.7 else len(data)
    data[at:at] = block


def _remove(data: bytearray, _other: bytes, random: Random) -> None:
    at = _place(data, random)
    del data[at : at + int(1 << random.integers(0, 10))]


def _repeat(data: bytearray, _other: bytes, random: Random) -> None:
    at, size = _place(data, random), int(1 << random.integers(0, 12))
    data[at:at] = bytes(data[at : at + size]) * int(random.integers(1, 4))


def _splice(data: bytearray, other: bytes, random: Random) -> None:
    size = int(1 << random.integers(1, 12))
    start = int(random.integers(max(len(other) - size, 1)))
    at = _place(data, random)
    data[at : at + size] = other[start : start + size]


_KINDS = (_flip, _flip, _set, _set, _word, _word, _count, _cut, _grow, _remove, _repeat, _splice)


def repair_png(data: bytes) -> bytes:
    """Return a PNG file whose chunks have right checksums, so that their contents are parsed."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if at + 12 + size > len(data):
            break
        body = data[at + 4 : at + 8 + size]
        parts += [data[at : at + 4], body, struct.pack(">I", zlib.crc32(body))]
        at += 12 + size
    return b"".join([*parts, data[at:]])
