"""Pages that tests write, and how they read them without the code under test."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Pixels = npt.NDArray[Any]


def entries(page: Path) -> list[dict[str, Any]]:
    """What the page's script is told of its pictures."""
    text = (page / "pictures.js").read_text("ascii")
    found: list[dict[str, Any]] = json.loads(text.removeprefix("const PICTURES = ").rstrip(";\n"))
    return found


def seen(page: Path, part: str, number: int = 0, below: int = 0) -> Pixels:
    """A picture as its tiles show it: sRGB codes, or linear light.

    Args:
        page: the page's folder.
        part: "before", "after" or "hdr".
        number: of the picture.
        below: levels below the full size.
    """
    entry = entries(page)[number]
    told = entry[part]
    level = told["top"] - below
    height, width = (-(-told[side] // 2**below) for side in ("height", "width"))
    tiles = page / entry["place"] / told["tiles"] / str(level)
    whole: Pixels | None = None
    for path in tiles.iterdir():
        tile = light_tile(path) if path.suffix == ".js" else code_tile(path)
        whole = np.zeros((height, width, tile.shape[2]), tile.dtype) if whole is None else whole
        column, row = map(int, path.stem.split("_"))
        top, left = (max(at * told["tile"] - told["overlap"], 0) for at in (row, column))
        whole[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    assert whole is not None
    return whole


def code_tile(path: Path) -> Pixels:
    """A tile's codes in sRGB, as a browser converts them by the tile's profile."""
    image: Image.Image = Image.open(path)
    profile = image.info.get("icc_profile")
    if profile:
        source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        done = ImageCms.profileToProfile(image, source, srgb)
        assert done is not None
        image = done
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def light_tile(path: Path) -> Pixels:
    """A tile's linear light, by the format that `pack_tile` describes."""
    text = path.read_text("ascii")
    data = zlib.decompress(base64.b64decode(text[len('light("') : -len('");\n')]))
    height, width = np.frombuffer(data[:4], "<u2")
    count = 3 * int(height) * int(width)
    assert len(data) == 4 + 2 * count
    high, low = (np.frombuffer(data[4 + at : 4 + at + count], np.uint8) for at in (0, count))
    folded = (high.astype(np.int64) << 8 | low).reshape(3, height, width)
    planes = np.where(folded % 2, -(folded + 1) // 2, folded // 2).cumsum(2)
    green, red, blue = planes[0], planes[1] + planes[0], planes[2] + planes[0]
    halves = (np.stack([red, green, blue], -1) << 2).astype(np.uint16)
    return halves.view(np.float16).astype(np.float32)


def smooth(channels: int = 3, height: int = 96, width: int = 128) -> Pixels:
    """A picture of soft colours, 0..1, which lossy codecs keep: H×W×channels, alpha included."""
    across, down = np.linspace(0, 1, width)[None], np.linspace(0, 1, height)[:, None]
    colours = (across + 0 * down, 0.25 + 0.5 * down + 0 * across, 0.8 - 0.6 * across * down)
    picked = {1: colours[:1], 2: colours[:2], 3: colours}.get(
        channels, (*colours, down + 0 * across)
    )
    return np.stack(picked, -1).astype(np.float32)
