"""One scene in a file of each kind that is read, and what independent readers see in a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import OpenImageIO as oiio
import pillow_heif
import psd_bytes
import pyvips
import tifffile
from dng_bytes import write_dng
from numpy.typing import NDArray
from PIL import Image

from drht_plugin.bridge.transfer import srgb_decode, srgb_encode

HEIGHT, WIDTH = 48, 64
Array = NDArray[Any]


def scene(*, gray: bool = False) -> Array:
    """Return H×W×3 display codes in 0.1..0.9, smooth, and different in each channel."""
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    codes = np.stack([0.1 + 0.8 * x, 0.1 + 0.8 * y, 0.5 + 0.3 * x - 0.2 * y], -1)
    return np.repeat(codes[..., :1], 3, -1) if gray else codes


def _whole(codes: Array, dtype: str = "uint8") -> Array:
    return np.rint(codes * np.iinfo(dtype).max).astype(dtype)


def _with_alpha(codes: Array) -> Array:
    return np.concatenate([codes, np.ones((*codes.shape[:2], 1))], -1)


def _pillow(mode: str = "RGB", *, exif: bool = False, **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        image = Image.fromarray(_whole(scene(gray=mode == "L")))
        described: dict[str, Any] = {"exif": made.exif(1)} if exif else {}
        image.convert(mode).save(path, **described, **options)

    return write


def _tiff(dtype: str, *, gray: bool = False, alpha: bool = False) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        codes = scene(gray=gray)
        pixels = codes.astype(dtype) if dtype.startswith("float") else _whole(codes, dtype)
        if alpha:
            pixels = _whole(_with_alpha(codes), dtype)
        if gray:
            tifffile.imwrite(path, pixels[..., 0], photometric="minisblack")
        else:
            extra = ["unassalpha"] if alpha else None
            tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=extra)

    return write


def _oiio(dtype: str, *, linear: bool = False, alpha: bool = False) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        codes = srgb_decode(scene()) if linear else scene()
        codes = _with_alpha(codes) if alpha else codes
        made.openimageio(
            path, codes.astype(dtype) if dtype.startswith("float") else _whole(codes, dtype)
        )

    return write


def _heic(*, deep: bool = False) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        pixels = _whole(scene(), "uint16" if deep else "uint8")
        mode = "RGB;16" if deep else "RGB"
        file = pillow_heif.from_bytes(mode, (WIDTH, HEIGHT), pixels.tobytes())
        file.save(path, quality=-1, chroma=444, matrix_coefficients=0, exif=made.exif(1))

    return write


def _deep_png(path: Path) -> None:
    image = pyvips.Image.new_from_array(_whole(_with_alpha(scene()), "uint16"))
    image.copy(interpretation="rgb16").write_to_file(str(path))


def _psd(path: Path) -> None:
    path.write_bytes(psd_bytes.psd_bytes(_whole(scene(), "uint16"), packed=True))


SOURCES: dict[str, Callable[[Path], None]] = {
    "rgb.jpg": _pillow(quality=98, subsampling=0, exif=True),
    "gray.jpg": _pillow("L", quality=98),
    "rgb.png": _pillow(exif=True),
    "gray.png": _pillow("L"),
    "deep-alpha.png": _deep_png,
    "rgb.webp": _pillow(lossless=True, exif=True),
    "rgb.avif": _pillow(quality=98, subsampling="4:4:4", exif=True),
    "eight.tif": _tiff("uint8"),
    "alpha.tif": _tiff("uint8", alpha=True),
    "sixteen.tif": _tiff("uint16"),
    "gray.tif": _tiff("uint16", gray=True),
    "float.tif": _tiff("float32"),
    "rgb.jxl": _oiio("uint8"),
    "sixteen.jp2": _oiio("uint16"),
    "half.exr": _oiio("float16", linear=True),
    "alpha.exr": _oiio("float32", linear=True, alpha=True),
    "rgb.hdr": _oiio("float32", linear=True),
    "rgb.pfm": _oiio("float32", linear=True),
    "deep.ppm": _oiio("uint16"),
    "rgb.bmp": _pillow(),
    "rgb.gif": _pillow(),
    "deep.psd": _psd,
    "eight.heic": _heic(),
    "ten.heic": _heic(deep=True),
    "camera.dng": lambda path: write_dng(path, srgb_decode(scene())),
}
"""How to write a file of each kind, by its name."""

GRAY = frozenset(name for name in SOURCES if name.startswith("gray"))
WITH_EXIF = frozenset({"rgb.jpg", "rgb.png", "rgb.webp", "rgb.avif", "eight.heic", "ten.heic"})
COARSE = {"rgb.gif": 0.06, "rgb.hdr": 0.03, "camera.dng": 0.02, "rgb.avif": 0.03, "rgb.jpg": 0.03}
"""What the kinds themselves lose, in display codes: palettes, shared exponents, interpolation."""

TARGETS = (
    *("a.jpg", "a.png", "a.webp", "a.avif", "a.tif", "a.jxl", "a.jp2"),
    *("a.exr", "a.hdr", "a.pfm", "a.ppm"),
)
LOSSY = {".jpg": 0.03, ".webp": 0.06, ".avif": 0.04, ".hdr": 0.03}
LOSSY_OF_LOSSY = {".jxl": 0.03}
"""What formats lose that are lossless unless the source was lossy."""

LOSSY_SOURCES = frozenset({"rgb.jpg", "rgb.avif", "eight.heic", "ten.heic"})
LINEAR = (".exr", ".hdr", ".pfm")


def _is_whole(path: Path) -> bool:
    with tifffile.TiffFile(path) as file:
        # tifffile needs a package for compressed floats
        return bool(np.dtype(file.pages[0].dtype).kind == "u")


def _pfm(path: Path) -> Array:
    """Read a PFM file by its specification: bottom row first, a negative scale little-endian."""
    kind, size, scale, data = path.read_bytes().split(b"\n", 3)
    width, height = (int(number) for number in size.split())
    order = "<" if float(scale) < 0 else ">"
    pixels = np.frombuffer(data, f"{order}f4").reshape(height, width, 3 if kind == b"PF" else 1)
    return pixels[::-1]


def seen(path: Path) -> Array:
    """Return the display codes of a file in 0..1, H×W×3, as another reader than ours sees it."""
    if path.suffix == ".pfm":
        pixels = _pfm(path)
    elif path.suffix == ".tif" and _is_whole(path):
        pixels = tifffile.imread(path)
    elif path.suffix in (".jpg", ".webp", ".avif"):
        with Image.open(path) as image:
            pixels = np.asarray(image)
    else:
        source: Any = oiio.ImageInput.open(str(path))
        pixels = source.read_image("float")
        source.close()
    codes = pixels.astype(float)
    if pixels.dtype.kind == "u":
        codes /= np.iinfo(pixels.dtype).max
    codes = codes if codes.ndim == 3 else codes[..., None]
    codes = codes[..., :1] if codes.shape[2] < 3 else codes[..., :3]
    if path.suffix in LINEAR:
        codes = srgb_encode(codes)
    return np.broadcast_to(codes, (*codes.shape[:2], 3))
