"""What files mean, by readers that share no code with the package.

Pillow, tifffile, OpenCV and a few lines of our own read the pixels, and tell the orientation.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import tifffile
from numpy.typing import NDArray
from PIL import Image
from radiance_bytes import read_radiance

Values = NDArray[np.float64]


def shown(path: Path) -> Values:
    """Return what a file shows: upright H×W×C, 0 is black, 1 is white, alpha straight.

    Scene-linear files give their light.
    """
    pixels, turn = _READERS[path.suffix](path)
    return turned(pixels, turn)


def turned(pixels: Values, turn: int) -> Values:
    """Turn stored pixels as EXIF's orientation says."""
    if turn >= 5:
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def straight(pixels: Values) -> Values:
    """Divide colours by alpha, the last channel."""
    alpha = np.maximum(pixels[..., -1:], 1e-9)
    colours = np.where(pixels[..., -1:] > 0, pixels[..., :-1] / alpha, pixels[..., :-1])
    return np.concatenate([colours.clip(0, 1), pixels[..., -1:]], -1)


def scaled(pixels: NDArray[Any]) -> Values:
    """Return H×W×C values in 0..1 of whole numbers, or floats as they are."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype == bool:
        return pixels.astype(np.float64)
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    return pixels.astype(np.float64) / top


def _opencv(path: Path) -> Values:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    found = scaled(pixels)
    return found[..., [2, 1, 0, 3][: found.shape[2]]] if found.shape[2] > 2 else found


def _tiff(path: Path) -> tuple[Values, int]:
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        if page.predictor == 3:  # which needs more than tifffile
            return (_opencv(path), 1) if page.samplesperpixel != 2 else _library(path)
        pixels = scaled(page.asarray())
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            pixels = np.moveaxis(pixels[..., 0] if pixels.ndim == 4 else pixels, 0, -1)
        if page.photometric == 0:
            pixels[..., 0] = 1 - pixels[..., 0]
        if 1 in [int(kind) for kind in page.extrasamples]:
            pixels = straight(pixels)
        tag = page.tags.get(274)
        return pixels, int(tag.value) if tag else 1


def _pillow(path: Path) -> tuple[Values, int]:
    with Image.open(path) as image:
        turn = int(image.getexif().get(0x112, 1)) if path.suffix in (".jpg", ".png", ".webp") else 1
        if image.mode in ("I;16", "I;16B", "I"):
            return scaled(np.asarray(image).astype(np.uint16)), turn
        bands = {"1": "L", "P": "RGBA" if "transparency" in image.info else "RGB"}
        return scaled(np.asarray(image.convert(bands.get(image.mode, image.mode)))), turn


def _deep_or_not(path: Path) -> tuple[Values, int]:
    """Read with OpenCV what Pillow would round to 8 bits."""
    with Image.open(path) as image:
        turn = int(image.getexif().get(0x112, 1)) if path.suffix == ".png" else 1
        gray_alpha = path.suffix == ".png" and path.read_bytes()[25] == 4
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype == np.uint8:
        return _pillow(path)
    found = _opencv(path)
    return (found[..., [0, 3]] if gray_alpha else found), turn


def _radiance(path: Path) -> tuple[Values, int]:
    _, turn, light = read_radiance(path.read_bytes())
    return light, turn


def _pfm(path: Path) -> tuple[Values, int]:
    kind, size, scale, body = path.read_bytes().split(b"\n", 3)
    width, height = (int(number) for number in size.split())
    order = "<" if float(scale) < 0 else ">"
    values = np.frombuffer(body, order + "f4").reshape(height, width, -1)[::-1]
    assert values.shape[2] == (3 if kind == b"PF" else 1)
    return values.astype(np.float64) * abs(float(scale)), 1


def _library(path: Path) -> tuple[Values, int]:
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # as it is stored
    source: Any = oiio.ImageInput.open(str(path), config)
    spec = source.spec()
    pixels = source.read_image(0, 0, 0, spec.nchannels, spec.format)
    source.close()
    return scaled(np.asarray(pixels)), 1


_READERS = {
    ".tif": _tiff,
    ".png": _deep_or_not,
    ".jpg": _pillow,
    ".webp": _pillow,
    ".avif": _pillow,
    ".jp2": _deep_or_not,
    ".pgm": _deep_or_not,
    ".ppm": _deep_or_not,
    ".pbm": _pillow,
    ".hdr": _radiance,
    ".pfm": _pfm,
    ".exr": _library,
    ".jxl": _library,
}
