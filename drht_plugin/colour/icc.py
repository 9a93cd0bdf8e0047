"""Read ICC profiles of gray or RGB pictures, and write RGB ones of a matrix and a curve.

Follows ICC.1:2022 (version 4.4) and ICC.1:2001-04 (version 2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.colour.curves import Curve, ParametricCurve, SampledCurve
from drht_plugin.colour.primaries import BT709, D50_XYZ, Matrix, to_d50
from drht_plugin.errors import InputError

_HEADER, _ENTRY = 128, 12
_MAX_TAGS = 1000
_MAX_SAMPLES = 1 << 16
_CHANNELS = {b"RGB ": 3, b"GRAY": 1}
_PARAMETER_COUNTS = (1, 3, 4, 5, 7)
"""How many parameters each type of parametric curve has."""

_BEYOND_WHITE = (b"\x10", b"\x12")
"""TransferCharacteristics of PQ and HLG, in a profile's tag of code points."""

_LAB_SAMPLES = 4096
_LAB_END = 216 / 24389


@dataclass(frozen=True)
class Profile:
    """Contents of an ICC profile.

    Attributes:
        colours: 1 for gray, 3 for RGB.
        curves: transfer curve of each channel; None where the profile consists of look-up tables.
        matrix: linear RGB to XYZ (D50), 3×3; None for gray and for look-up tables.
        relative: whether there is a table for the relative colorimetric intent.
    """

    colours: int
    curves: tuple[Curve, ...] | None
    matrix: Matrix | None
    relative: bool = False


def is_for(profile: bytes, *, gray: bool) -> bool:
    """Return whether a profile says that it is for gray pictures, or for RGB ones."""
    return profile[16:20] == (b"GRAY" if gray else b"RGB ")


def parse(data: bytes) -> Profile:
    """Read a profile.

    Args:
        data: bytes of an ICC profile.

    Raises:
        InputError: the profile is damaged, or is for other pictures than gray or RGB.
    """
    try:
        return _parse(data)
    except (struct.error, IndexError, ZeroDivisionError, OverflowError) as error:
        raise InputError(f"the profile is damaged ({error}); expected an ICC profile") from error


def matrix_profile(
    matrix: Matrix, curve: bytes, code_points: tuple[int, int] | None = None
) -> bytes:
    """Write an RGB profile (version 4) of a matrix and one curve for all channels.

    Args:
        matrix: linear RGB to XYZ (D50), 3×3.
        curve: a tag made by `parametric_tag` or `sampled_tag`.
        code_points: primaries and transfer by ITU-T H.273, to be stated as well.

    Returns:
        The bytes of the profile.
    """
    tags = {
        **{b"%cXYZ" % name: _xyz_tag(matrix[:, i]) for i, name in enumerate(b"rgb")},
        **{b"%cTRC" % name: curve for name in b"rgb"},
    }
    if code_points:
        tags[b"cicp"] = b"cicp" + bytes(4) + bytes((*code_points, 0, 1))
    return _profile(b"RGB ", tags)


def gray_profile(curve: bytes) -> bytes:
    """Write a gray profile (version 4) of a curve's tag; returns its bytes."""
    return _profile(b"GRAY", {b"kTRC": curve})


def rgb_of_gray(data: bytes) -> bytes:
    """Return an RGB profile of sRGB's primaries in which equal codes are a gray profile's grays.

    Args:
        data: bytes of a gray ICC profile.

    Raises:
        InputError: it is damaged, or for other pictures than gray.
    """
    found = parse(data)
    if found.colours != 1 or found.curves is None:
        raise InputError("the profile is for RGB pictures; expected one for gray")
    codes = np.linspace(0, 1, _LAB_SAMPLES)
    return matrix_profile(to_d50(BT709), sampled_tag(found.curves[0].decode(codes)))


def _profile(space: bytes, described: dict[bytes, bytes]) -> bytes:
    tags = {
        b"desc": _text_tag("drht_plugin"),
        b"cprt": _text_tag("CC0"),
        b"wtpt": _xyz_tag(D50_XYZ),
        **described,
    }
    start = _HEADER + 4 + _ENTRY * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    size = start + len(body)
    head = struct.pack(">I4xI4s4s4s", size, 0x04300000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s28x", 2026, 1, 1, 0, 0, 0, b"acsp") + _xyz_tag(D50_XYZ)[8:]
    return head.ljust(_HEADER, b"\0") + table + body


def parametric_tag(*values: float) -> bytes:
    """Return a curve's tag: of gamma alone, or of gamma, a, b, c and d, see `ParametricCurve`."""
    kind = _PARAMETER_COUNTS.index(len(values))
    numbers = [round(value * 65536) for value in values]
    return b"para" + struct.pack(f">4xHxx{len(numbers)}i", kind, *numbers)


def sampled_tag(light: npt.NDArray[Any]) -> bytes:
    """Return a curve's tag of the light, 0..1, of evenly spaced codes."""
    return b"curv" + struct.pack(
        f">4xI{len(light)}H", len(light), *np.rint(light * 65535).astype(int)
    )


def _xyz_tag(values: npt.NDArray[Any]) -> bytes:
    return b"XYZ " + struct.pack(">4x3i", *(round(float(value) * 65536) for value in values))


def _text_tag(words: str) -> bytes:
    data = words.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", len(data), 28) + data


def _parse(data: bytes) -> Profile:
    if len(data) < _HEADER + 4 or data[36:40] != b"acsp":
        raise InputError(f"the profile is not ICC ({len(data)} bytes); expected an ICC profile")
    space = data[16:20]
    if space not in _CHANNELS:
        name = space.decode("ascii", "replace").strip()
        raise InputError(f"the profile is for {name} pictures; expected RGB or GRAY")
    tags = _read_tags(data)
    if tags.get(b"cicp", b"")[9:10] in _BEYOND_WHITE:
        raise InputError("the profile goes beyond white (PQ or HLG); expected one that does not")
    if space == b"GRAY":
        if b"kTRC" not in tags:
            raise InputError("the profile is for gray pictures and lacks kTRC, its curve")
        curve = _read_curve(tags[b"kTRC"])
        return Profile(1, (_lightness_to_light(curve) if data[20:24] == b"Lab " else curve,), None)
    names = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    if b"A2B0" in tags or b"A2B1" in tags:
        return Profile(3, None, None, relative=b"A2B1" in tags)
    missing = [name.decode() for name in names if name not in tags]
    if missing:
        raise InputError(f"the profile lacks {', '.join(missing)}, and has no tables either")
    matrix = np.stack([_read_xyz(tags[name]) for name in names[:3]], 1)
    if abs(np.linalg.det(matrix)) < 1e-4:
        raise InputError("the profile's red, green and blue lie on one line")
    return Profile(3, tuple(_read_curve(tags[name]) for name in names[3:]), matrix)


def _read_tags(data: bytes) -> dict[bytes, memoryview]:
    """Return the tags as views, since any number of them may lie at the same place."""
    (count,) = struct.unpack_from(">I", data, _HEADER)
    if count > _MAX_TAGS:
        raise InputError(f"the profile is damaged: it claims {count} tags")
    tags, view = {}, memoryview(data)
    for index in range(count):
        entry = struct.unpack_from(">4sII", data, _HEADER + 4 + _ENTRY * index)
        name, start, size = entry
        if start + size > len(data):
            raise InputError("the profile is cut short")
        tags[name] = view[start : start + size]
    return tags


def _read_xyz(tag: memoryview) -> Matrix:
    if bytes(tag[:4]) != b"XYZ ":
        raise InputError("the profile is damaged: a primary is not an XYZ tag")
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _read_curve(tag: memoryview) -> Curve:
    kind = bytes(tag[:4])
    if kind == b"para":
        return _read_parametric(tag)
    if kind != b"curv":
        raise InputError("the profile is damaged: a curve is of an unknown kind")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return ParametricCurve(1.0)
    if count > _MAX_SAMPLES:
        raise InputError(f"the profile is damaged: a curve has {count} samples")
    values = struct.unpack_from(f">{count}H", tag, 12)
    if count == 1:
        return ParametricCurve(_require_exponent(values[0] / 256))
    # A falling curve has no inverse; those of good profiles never fall.
    samples = np.maximum.accumulate(np.array(values) / 65535)
    if samples[-1] <= samples[0]:
        raise InputError("the profile is damaged: a curve does not rise")
    return SampledCurve(tuple(samples.tolist()))


def _read_parametric(tag: memoryview) -> Curve:
    (kind,) = struct.unpack_from(">H", tag, 8)
    given = [v / 65536 for v in struct.unpack_from(f">{_PARAMETER_COUNTS[kind]}i", tag, 12)]
    gamma = _require_exponent(given[0])
    if kind == 0:
        return ParametricCurve(gamma)
    a, b = given[1:3]
    if a <= 0:
        raise InputError("the profile is damaged: a curve does not rise")
    if kind in (1, 2):
        least = given[3] if kind == 2 else 0.0
        return ParametricCurve(gamma, a, b, 0.0, -b / a, least, least)
    return ParametricCurve(gamma, a, b, *given[3:])


def _require_exponent(value: float) -> float:
    if not 0.05 <= value <= 20:
        raise InputError(f"the profile is damaged: a curve has the exponent {value:g}")
    return value


def _lightness_to_light(curve: Curve) -> Curve:
    """Turn a curve that yields CIELAB lightness into one that yields linear light."""
    lightness = curve.decode(np.linspace(0, 1, _LAB_SAMPLES))
    scaled = (100 * lightness + 16) / 116
    light = np.where(scaled**3 > _LAB_END, scaled**3, (116 * scaled - 16) / (24389 / 27))
    return SampledCurve(tuple(np.maximum.accumulate(light.clip(0, 1)).tolist()))
