"""Radiance HDR files, written and read byte by byte."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESOLUTIONS = {
    1: b"-Y %d +X %d",
    2: b"-Y %d -X %d",
    3: b"+Y %d -X %d",
    4: b"+Y %d +X %d",
    5: b"+X %d -Y %d",
    6: b"-X %d -Y %d",
    7: b"-X %d +Y %d",
    8: b"+X %d +Y %d",
}
"""By EXIF's orientation: the axis from scanline to scanline, and the one along each. Y points up,
so that +X +Y is the left column first, from its foot."""


def light(rgbe: NDArray[Any]) -> NDArray[Any]:
    """Return the light, H×W×3, of pixels of a shared exponent, H×W×4."""
    return rgbe[..., :3] * np.ldexp(1.0, rgbe[..., 3:].astype(int) - 136)


def radiance_bytes(
    rgbe: NDArray[Any], *, turn: int = 1, coding: str = "flat", lines: tuple[bytes, ...] = ()
) -> bytes:
    """Return a file.

    Args:
        rgbe: H×W×4 uint8, as it is to be stored.
        turn: orientation as in EXIF.
        coding: "flat", "rle", or "old" for the runs of before 1991.
        lines: of the header.
    """
    head = b"\n".join([b"#?RADIANCE", *lines, b"FORMAT=32-bit_rle_rgbe", b"", b""])
    size = RESOLUTIONS[turn] % rgbe.shape[:2]
    if coding == "flat":
        body = rgbe.tobytes()
    elif coding == "rle":
        body = b"".join(_new_row(row) for row in rgbe)
    else:
        body = b"".join(_old_row(row) for row in rgbe)
    return head + size + b"\n" + body


def _new_row(row: NDArray[Any]) -> bytes:
    width = len(row)
    planes = b""
    for plane in row.T:
        parts = [plane[at : at + 128] for at in range(0, width, 128)]
        planes += b"".join(bytes([len(part)]) + part.tobytes() for part in parts)
    return bytes([2, 2, width >> 8, width & 255]) + planes


def _old_row(row: NDArray[Any]) -> bytes:
    made, at = b"", 0
    while at < len(row):
        count = 1
        while at + count < len(row) and (row[at + count] == row[at]).all():
            count += 1
        made += row[at].tobytes()
        if count > 256:
            made += bytes([1, 1, 1, (count - 1) & 255, 1, 1, 1, (count - 1) >> 8])
        elif count > 1:
            made += bytes([1, 1, 1, count - 1])
        at += count
    return made


def read_radiance(data: bytes) -> tuple[list[bytes], int, NDArray[Any]]:
    """Return a file's lines, its orientation, and its light as stored."""
    text, rest = data.split(b"\n\n", 1)
    size, body = rest.split(b"\n", 1)
    axes = re.sub(rb"\d+", b"%d", size)
    turn = next(turn for turn, known in RESOLUTIONS.items() if known == axes)
    height, width = (int(number) for number in re.findall(rb"\d+", size))
    if body[:2] != b"\2\2" or not 8 <= width < 32768:
        stored = np.frombuffer(body[: height * width * 4], np.uint8)
        return text.split(b"\n"), turn, light(stored.reshape(height, width, 4))
    rows, at = np.empty((height, 4, width), np.uint8), 0
    for row in rows:
        at += 4
        for plane in row:
            done = 0
            while done < width:
                count = body[at]
                if count > 128:
                    plane[done : done + count - 128] = body[at + 1]
                    at, done = at + 2, done + count - 128
                else:
                    plane[done : done + count] = np.frombuffer(body[at + 1 : at + 1 + count], "u1")
                    at, done = at + 1 + count, done + count
    return text.split(b"\n"), turn, light(rows.transpose(0, 2, 1))
