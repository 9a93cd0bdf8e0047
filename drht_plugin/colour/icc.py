"""What an ICC profile says: a matrix and curves, a curve of gray, or that a library must be asked.

After ICC.1:2022 (version 4.4) and ICC.1:2001-04 (version 2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.colour.curves import Curve, Parametric, Sampled
from drht_plugin.colour.primaries import D50_XYZ, Matrix
from drht_plugin.errors import InputError

_HEADER, _ENTRY = 128, 12
_MOST_TAGS = 1000
_COLOURS = {b"RGB ": 3, b"GRAY": 1}
_PARAMETERS = (1, 3, 4, 5, 7)
"""Of the parametric curve's types."""

_LAB_SAMPLES = 4096
_LAB_END = 216 / 24389


@dataclass(frozen=True)
class Profile:
    """A profile that was read.

    Attributes:
        colours: 1 for gray, 3 for RGB.
        curves: Of each channel; None where the profile goes by tables, which a library looks up.
        matrix: Linear values to XYZ (D50), 3×3; None for gray, and where there are no curves.
        relative: Whether tables of the relative colorimetric intent are among those it has.
    """

    colours: int
    curves: tuple[Curve, ...] | None
    matrix: Matrix | None
    relative: bool = False


def parse(data: bytes) -> Profile:
    """Read a profile.

    Raises:
        InputError: it is damaged, or not of gray or RGB pictures.
    """
    try:
        return _parsed(data)
    except (struct.error, IndexError, ZeroDivisionError, OverflowError) as error:
        raise InputError(f"the profile is damaged ({error}); expected an ICC profile") from error


def written(matrix: Matrix, curve: bytes) -> bytes:
    """A profile of version 4, of a matrix to XYZ (D50) and one curve for all channels.

    curve: as `parametric` makes it.
    """
    tags = {
        b"desc": _text("drht_plugin"),
        b"cprt": _text("CC0"),
        b"wtpt": _colour(D50_XYZ),
        **{b"%cXYZ" % name: _colour(matrix[:, i]) for i, name in enumerate(b"rgb")},
        **{b"%cTRC" % name: curve for name in b"rgb"},
    }
    start = _HEADER + 4 + _ENTRY * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    size = start + len(body)
    head = struct.pack(">I4xI4s4s4s", size, 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s28x", 2026, 1, 1, 0, 0, 0, b"acsp") + _colour(D50_XYZ)[8:]
    return head.ljust(_HEADER, b"\0") + table + body


def parametric(*values: float) -> bytes:
    """A curve for `written`: a power alone, or gamma, a, b, c and d of a power and a line."""
    kind = _PARAMETERS.index(len(values))
    numbers = [round(value * 65536) for value in values]
    return b"para" + struct.pack(f">4xHxx{len(numbers)}i", kind, *numbers)


def _colour(values: npt.NDArray[Any]) -> bytes:
    return b"XYZ " + struct.pack(">4x3i", *(round(float(value) * 65536) for value in values))


def _text(words: str) -> bytes:
    data = words.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", len(data), 28) + data


def _parsed(data: bytes) -> Profile:
    if len(data) < _HEADER + 4 or data[36:40] != b"acsp":
        raise InputError(f"the profile is {len(data)} bytes of something else; expected ICC's")
    space = data[16:20]
    if space not in _COLOURS:
        name = space.decode("ascii", "replace").strip()
        raise InputError(f"the profile is one of {name} pictures; expected RGB or GRAY")
    tags = _tags(data)
    if space == b"GRAY":
        if b"kTRC" not in tags:
            raise InputError("the profile has no curve of gray")
        curve = _curve(tags[b"kTRC"])
        return Profile(1, (_of_lab(curve) if data[20:24] == b"Lab " else curve,), None)
    names = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    if b"A2B0" in tags or b"A2B1" in tags:
        return Profile(3, None, None, relative=b"A2B1" in tags)
    missing = [name.decode() for name in names if name not in tags]
    if missing:
        raise InputError(f"the profile lacks {', '.join(missing)}, and has no tables either")
    matrix = np.stack([_xyz(tags[name]) for name in names[:3]], 1)
    if abs(np.linalg.det(matrix)) < 1e-4:
        raise InputError("the profile's red, green and blue lie on one line")
    return Profile(3, tuple(_curve(tags[name]) for name in names[3:]), matrix)


def _tags(data: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", data, _HEADER)
    if count > _MOST_TAGS:
        raise InputError(f"the profile is damaged: it claims {count} tags")
    tags = {}
    for index in range(count):
        entry = struct.unpack_from(">4sII", data, _HEADER + 4 + _ENTRY * index)
        name, start, size = entry
        if start + size > len(data):
            raise InputError("the profile is cut short")
        tags[name] = data[start : start + size]
    return tags


def _xyz(tag: bytes) -> Matrix:
    if tag[:4] != b"XYZ ":
        raise InputError("the profile is damaged: a primary is no colour")
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> Curve:
    kind = tag[:4]
    if kind == b"para":
        return _parametric(tag)
    if kind != b"curv":
        raise InputError("the profile is damaged: a curve is of an unknown kind")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return Parametric(1.0)
    values = struct.unpack_from(f">{count}H", tag, 12)
    if count == 1:
        return Parametric(_exponent(values[0] / 256))
    # What falls cannot be undone; in good profiles nothing does.
    samples = np.maximum.accumulate(np.array(values) / 65535)
    if samples[-1] <= samples[0]:
        raise InputError("the profile is damaged: a curve does not rise")
    return Sampled(tuple(samples.tolist()))


def _parametric(tag: bytes) -> Curve:
    (kind,) = struct.unpack_from(">H", tag, 8)
    given = [v / 65536 for v in struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)]
    gamma = _exponent(given[0])
    if kind == 0:
        return Parametric(gamma)
    a, b = given[1:3]
    if a <= 0:
        raise InputError("the profile is damaged: a curve does not rise")
    if kind in (1, 2):
        least = given[3] if kind == 2 else 0.0
        return Parametric(gamma, a, b, 0.0, -b / a, least, least)
    return Parametric(gamma, a, b, *given[3:])


def _exponent(value: float) -> float:
    if not 0.05 <= value <= 20:
        raise InputError(f"the profile is damaged: a curve has the exponent {value:g}")
    return value


def _of_lab(curve: Curve) -> Curve:
    """A curve that gives lightness, as one that gives light."""
    lightness = curve.light(np.linspace(0, 1, _LAB_SAMPLES))
    scaled = (100 * lightness + 16) / 116
    light = np.where(scaled**3 > _LAB_END, scaled**3, (116 * scaled - 16) / (24389 / 27))
    return Sampled(tuple(np.maximum.accumulate(light.clip(0, 1)).tolist()))
