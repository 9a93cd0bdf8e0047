"""Small pictures of every kind, made by other software than the code under test where it can."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pyvips
import tifffile
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

HEIGHT, WIDTH = 32, 40
DENSITY = 240
TAKEN = "2024:01:02 03:04:05"
NOTE = b"maker's note \0\1\2\xff" * 4
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b'xmp:Rating="4"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)

_OIIO_NAMES = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}


def values(
    channels: int, dtype: str, height: int = HEIGHT, width: int = WIDTH, seed: int = 0
) -> NDArray[Any]:
    """Return a ramp with noise over most of the range; alpha holds 0 and 1 too."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 0.8, width)[None, :, None] + 0.2 * random.random(
        (height, width, channels)
    )
    if channels in (2, 4):
        ramp[: height // 4, :, -1] = 0
        ramp[-1:, :, -1] = 1
    if np.issubdtype(np.dtype(dtype), np.integer):
        ramp = np.rint(ramp * np.iinfo(dtype).max)
    return ramp.astype(dtype)


@cache
def profile(name: str = "p3") -> bytes:
    """Return an ICC profile that libvips brings."""
    image = pyvips.Image.black(1, 1, bands=3).copy(interpretation="srgb")
    return bytes(image.icc_export(output_profile=name).get("icc-profile-data"))


def exif(orientation: int = 6) -> bytes:
    """Return an EXIF block as cameras write it, by Pillow."""
    block = Image.Exif()
    block[0x10F], block[0x110], block[0x112] = "ACME", "Camera 1", orientation
    block[0x11A] = block[0x11B] = IFDRational(DENSITY)
    block[0x128] = 2
    shot = block.get_ifd(0x8769)
    shot[0x829A], shot[0x829D] = IFDRational(1, 125), IFDRational(28, 10)
    shot[0x8827], shot[0x9003], shot[0x927C] = 400, TAKEN, NOTE
    shot[0xA432] = tuple(IFDRational(n, 10) for n in (240, 700, 28, 40))
    shot[0xA001] = 65535
    place = block.get_ifd(0x8825)
    place[1], place[2] = "N", (IFDRational(48), IFDRational(51), IFDRational(2990, 100))
    place[3], place[4] = "E", (IFDRational(2), IFDRational(17), IFDRational(40))
    return block.tobytes()


def tags(path: Path) -> dict[str, Any]:
    """Return what Pillow reads of a file's EXIF."""
    with Image.open(path) as image:
        block = image.getexif()
        shot, place = block.get_ifd(0x8769), block.get_ifd(0x8825)
    return {
        "Make": block.get(0x10F),
        "Model": block.get(0x110),
        "Orientation": block.get(0x112),
        "ExposureTime": shot.get(0x829A),
        "ISO": shot.get(0x8827),
        "DateTimeOriginal": shot.get(0x9003),
        "MakerNote": shot.get(0x927C),
        "LensSpecification": shot.get(0xA432),
        "ColorSpace": shot.get(0xA001),
        "Latitude": place.get(2),
        "Longitude": place.get(4),
    }


def pillow(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    """Write with Pillow, with profile, EXIF and density unless told otherwise."""
    full = {"exif": exif(), "icc_profile": profile(), "dpi": (DENSITY, DENSITY)} | options
    squeezed = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(squeezed).save(path, **{k: v for k, v in full.items() if v is not None})


def openimageio(path: Path, pixels: NDArray[Any], **attributes: Any) -> None:
    """Write with OpenImageIO; attribute names have ``__`` for a colon."""
    height, width, channels = pixels.shape
    spec = oiio.ImageSpec(width, height, channels, _OIIO_NAMES[pixels.dtype.name])
    if channels == 2:
        spec.channelnames, spec.alpha_channel = ("Y", "A"), 1
    tile = attributes.pop("tile", 0)
    if tile:
        spec.tile_width = spec.tile_height = tile
    icc = attributes.pop("icc", None)
    if icc:
        spec.attribute("ICCProfile", f"uint8[{len(icc)}]", np.frombuffer(icc, np.uint8))
    names = attributes.pop("names", None)
    if names:
        spec.channelnames = names
    for key, value in attributes.items():
        spec.attribute(key.replace("__", ":"), value)
    target: Any = oiio.ImageOutput.create(str(path))
    assert target.open(str(path), spec), target.geterror()
    assert target.write_image(pixels), target.geterror()
    assert target.close(), target.geterror()


def header(path: Path) -> Any:
    """Return a file's header as OpenImageIO reads it."""
    source: Any = oiio.ImageInput.open(str(path))
    spec = source.spec()
    source.close()
    return spec


def stored(path: Path) -> NDArray[Any]:
    """Return a file's values as OpenImageIO reads them, nothing converted."""
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    source: Any = oiio.ImageInput.open(str(path), config)
    spec = source.spec()
    pixels = source.read_image(0, 0, 0, spec.nchannels, spec.format)
    source.close()
    return np.asarray(pixels)


def vips(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    """Write with libvips, with profile, EXIF, XMP and density."""
    kinds = {"uint8": ("b-w", "srgb"), "uint16": ("grey16", "rgb16")}[pixels.dtype.name]
    density = DENSITY / 25.4
    image = pyvips.Image.new_from_array(pixels).copy(
        interpretation=kinds[pixels.shape[2] > 2], xres=density, yres=density
    )
    if pixels.shape[2] > 2:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile())
    image.set_type(
        pyvips.GValue.blob_type, "exif-data", b"Exif\0\0" + exif(1).removeprefix(b"Exif\0\0")
    )
    image.set_type(pyvips.GValue.blob_type, "xmp-data", XMP)
    image.write_to_file(str(path), **options)


def tiff(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    """Write with tifffile, with a density and a profile."""
    full = {
        "photometric": "rgb" if pixels.shape[2] > 2 else "minisblack",
        "resolution": (DENSITY, DENSITY),
        "resolutionunit": "inch",
        "iccprofile": profile(),
        "metadata": None,
        "planarconfig": "contig" if pixels.shape[2] > 1 else None,
        "extratags": [(700, 1, len(XMP), XMP, True), (65000, 3, 3, (7, 8, 9), True)],
    }
    squeezed = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    tifffile.imwrite(path, squeezed, **(full | options))


@dataclass(frozen=True)
class Sample:
    """One kind of file: how it is made, and what it holds."""

    name: str
    suffix: str
    channels: int
    dtype: str
    make: Callable[..., None]
    options: tuple[tuple[str, Any], ...] = ()
    lossless: bool = True
    icc: bool = True
    exif: bool = True
    xmp: bool = False
    density: bool = True

    def create(self, folder: Path) -> tuple[Path, NDArray[Any]]:
        """Write the file; returns its path and the pixels it was made from."""
        path = folder / f"source{self.suffix}"
        pixels = values(self.channels, self.dtype)
        self.make(path, pixels, **dict(self.options))
        return path, pixels


def _bare(*args: Any, **kwargs: Any) -> Sample:
    return Sample(*args, **({"icc": False, "exif": False, "density": False} | kwargs))


SAMPLES = [
    Sample(
        "jpeg-420",
        ".jpg",
        3,
        "uint8",
        pillow,
        (("quality", 87), ("subsampling", 2), ("xmp", XMP)),
        lossless=False,
        xmp=True,
    ),
    Sample(
        "jpeg-gray",
        ".jpeg",
        1,
        "uint8",
        pillow,
        (("icc_profile", None), ("progressive", True)),
        lossless=False,
        icc=False,
    ),
    Sample("png-8", ".png", 3, "uint8", pillow),
    Sample("png-8-alpha", ".png", 4, "uint8", pillow),
    Sample("png-8-gray-alpha", ".png", 2, "uint8", pillow, (("icc_profile", None),), icc=False),
    Sample("png-16", ".png", 3, "uint16", vips, xmp=True),
    Sample("png-16-alpha", ".png", 4, "uint16", vips, xmp=True),
    Sample("png-16-gray", ".png", 1, "uint16", vips, icc=False, xmp=True),
    Sample(
        "webp-lossless", ".webp", 3, "uint8", pillow, (("lossless", True), ("xmp", XMP)), xmp=True
    ),
    Sample("webp-alpha", ".webp", 4, "uint8", pillow, (("lossless", True), ("exact", True))),
    Sample("webp-lossy", ".webp", 3, "uint8", pillow, lossless=False),
    Sample("avif", ".avif", 3, "uint8", vips, (("lossless", True),), lossless=False, xmp=True),
    Sample(
        "avif-10",
        ".avif",
        3,
        "uint16",
        vips,
        (("lossless", True), ("bitdepth", 10)),
        lossless=False,
        xmp=True,
    ),
    Sample("tiff-8", ".tif", 3, "uint8", pillow),
    Sample(
        "tiff-16-deflate",
        ".tif",
        3,
        "uint16",
        tiff,
        (("compression", "zlib"),),
        exif=False,
        xmp=True,
    ),
    Sample(
        "tiff-16-big-endian",
        ".tiff",
        1,
        "uint16",
        tiff,
        (("byteorder", ">"), ("iccprofile", None)),
        exif=False,
        xmp=True,
        icc=False,
    ),
    Sample(
        "bigtiff-tiled",
        ".tif",
        4,
        "uint8",
        tiff,
        (("bigtiff", True), ("tile", (16, 16)), ("extrasamples", ["unassalpha"])),
        exif=False,
        xmp=True,
    ),
    Sample(
        "tiff-float-alpha",
        ".tif",
        4,
        "float32",
        tiff,
        (("extrasamples", ["unassalpha"]),),
        exif=False,
        xmp=True,
    ),
    Sample("tiff-half", ".tif", 3, "float16", tiff, exif=False, xmp=True),
    _bare(
        "tiff-lzw",
        ".tif",
        3,
        "uint16",
        openimageio,
        (("compression", "lzw"), ("icc", profile())),
        icc=True,
    ),
    _bare("tiff-gray-alpha", ".tif", 2, "uint16", openimageio, (("oiio__UnassociatedAlpha", 1),)),
    _bare("exr-half", ".exr", 3, "float16", openimageio),
    _bare("exr-float-gray", ".exr", 1, "float32", openimageio),
    _bare("hdr", ".hdr", 3, "float32", openimageio, lossless=False),
    _bare("pfm", ".pfm", 3, "float32", openimageio),
    _bare("ppm-16", ".ppm", 3, "uint16", openimageio),
    _bare("pgm", ".pgm", 1, "uint8", openimageio),
    _bare("jxl-16", ".jxl", 3, "uint16", openimageio, (("icc", profile()),), icc=True),
    _bare("jxl-alpha", ".jxl", 4, "uint8", openimageio, (("oiio__UnassociatedAlpha", 1),)),
    _bare("jxl-float", ".jxl", 3, "float32", openimageio),
    _bare("jp2-16", ".jp2", 3, "uint16", openimageio, (("icc", profile()),), icc=True),
]
