"""ICC profiles, written by hand: of matrices and curves, of gray, and of tables."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

D65 = (0.3127, 0.3290)
D50 = (0.3457, 0.3585)
PRIMARIES = {
    "srgb": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65),
    "p3": ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), D65),
    "adobe": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65),
    "prophoto": ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), D50),
}
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_PCS = np.array([0.9642, 1.0, 0.8249])


def matrix(name: str) -> Array:
    """Linear values of a space to XYZ of D50."""
    *colours, white = (np.array([x, y, 1 - x - y]) / y for x, y in PRIMARIES[name])
    columns = np.stack(colours, 1)
    own = columns * np.linalg.solve(columns, white)
    scale = np.diag((_BRADFORD @ _PCS) / (_BRADFORD @ white))
    return np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ own


def parametric(kind: int, *values: float) -> bytes:
    """A parametric curve of one of the five types."""
    numbers = [round(value * 65536) for value in values]
    return b"para" + bytes(4) + struct.pack(f">HH{len(numbers)}i", kind, 0, *numbers)


def sampled(values: Array) -> bytes:
    """A curve of samples in 0..1."""
    codes = np.rint(np.asarray(values) * 65535).astype(">u2")
    return b"curv" + struct.pack(">II", 0, codes.size) + codes.tobytes()


def gamma(exponent: float) -> bytes:
    """A plain power, as version 2 has it."""
    return b"curv" + struct.pack(">IIH", 0, 1, round(exponent * 256))


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
CURVES = {
    "srgb": SRGB_CURVE,
    "p3": SRGB_CURVE,
    "adobe": gamma(563 / 256),
    "prophoto": parametric(3, 1.8, 1.0, 0.0, 1 / 16, 1 / 32),
}


def to_light(name: str, codes: Array) -> Array:
    """Codes of a space in 0..1 to its light."""
    if name == "adobe":
        return codes ** (563 / 256)
    if name == "prophoto":
        return np.where(codes < 1 / 32, codes / 16, codes**1.8)
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def to_codes(name: str, light: Array) -> Array:
    """A space's light in 0..1 to its codes."""
    if name == "adobe":
        return light ** (256 / 563)
    if name == "prophoto":
        return np.where(light < 1 / 512, light * 16, light ** (1 / 1.8))
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def converted(codes: Array, source: str, target: str) -> Array:
    """Codes in 0..1 of one space to those of another, cut off where that ends."""
    change = np.linalg.solve(matrix(target), matrix(source))
    return to_codes(target, (to_light(source, codes) @ change.T).clip(0, 1))


def xyz(codes: Array, name: str) -> Array:
    """Codes in 0..1 of a space to XYZ of D50."""
    return to_light(name, codes) @ matrix(name).T


def profile(
    space: bytes, tags: dict[bytes, bytes], *, pcs: bytes = b"XYZ ", version: int = 4
) -> bytes:
    """A profile of such tags."""
    names = {b"wtpt": _colour(_PCS), b"desc": _text("test"), b"cprt": _text("none"), **tags}
    start = 132 + 12 * len(names)
    table, body = struct.pack(">I", len(names)), b""
    for name, data in names.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", start + len(body), bytes(4), version << 24, b"mntr", space, pcs
    )
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *np.rint(_PCS * 65536).astype(int))
    return head.ljust(128, b"\0") + table + body


def rgb(name: str, curves: tuple[bytes, ...] | None = None) -> bytes:
    """A profile of one of the known spaces, with its own curves or others."""
    columns = matrix(name).T
    tags = {bytes([c]) + b"XYZ": _colour(columns[i]) for i, c in enumerate(b"rgb")}
    for i, c in enumerate(b"rgb"):
        tags[bytes([c]) + b"TRC"] = curves[i] if curves else CURVES[name]
    return profile(b"RGB ", tags)


def gray(curve: bytes, *, pcs: bytes = b"XYZ ") -> bytes:
    """A profile of gray."""
    return profile(b"GRAY", {b"kTRC": curve}, pcs=pcs)


def tables(name: str, size: int = 33) -> bytes:
    """A profile that has no matrix, but a table of CIELAB, of one of the known spaces."""
    steps = np.linspace(0, 1, size)
    codes = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1)
    offset, scale = np.array([0, 128, 128]), np.array([1 / 100, 1 / 255, 1 / 255])
    scaled = (lab(xyz(codes, name)) + offset) * (scale * 0xFF00)
    lattice = np.rint(scaled.clip(0, 65535)).astype(">u2").tobytes()
    line = np.array([0, 65535], ">u2").tobytes()
    head = struct.pack(
        ">4B9i2H", 3, 3, size, 0, *np.rint(np.eye(3) * 65536).astype(int).ravel(), 2, 2
    )
    data = b"mft2" + bytes(4) + head + line * 3 + lattice + line * 3
    return profile(b"RGB ", {b"A2B0": data}, pcs=b"Lab ", version=2)


def lab(values: Array) -> Array:
    """XYZ to CIELAB, both of D50."""
    ratio = values / _PCS
    bent = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    x, y, z = (bent[..., k] for k in range(3))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _colour(values: Array) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *np.rint(values * 65536).astype(int))


def _text(words: str) -> bytes:
    data = words.encode("utf-16-be")
    return b"mluc" + struct.pack(">3I4s2I", 0, 1, 12, b"enUS", len(data), 28) + data


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def iccp(data: bytes) -> bytes:
    """What PNG's iCCP holds of a profile."""
    return b"icc\0\0" + zlib.compress(data)
