"""Ultra HDR files read by others: Pillow and the published formula, and libvips' loader."""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyvips
from PIL import Image, ImageCms

Light = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decoded:
    """An Ultra HDR file: linear light of the base, the map as 0..1, and what XMP says of it."""

    base: Light
    share: Light
    values: dict[str, float]

    def shown(self, headroom: float) -> Light:
        """What a screen of a headroom in stops shows, H×W×3; white is 1."""
        low, high = self.values["HDRCapacityMin"], self.values["HDRCapacityMax"]
        weight = min(max((headroom - low) / (high - low), 0), 1)
        least, most = self.values["GainMapMin"], self.values["GainMapMax"]
        stops = least + (most - least) * self.share ** (1 / self.values["Gamma"])
        raised = (self.base + self.values["OffsetSDR"]) * 2 ** (weight * stops)
        return raised - self.values["OffsetHDR"]


def srgb_light(codes: npt.NDArray[np.uint8]) -> Light:
    """SRGB codes as linear light."""
    x = codes / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def map_bytes(data: bytes) -> bytes:
    """The map's JPEG, by the directory in the base's XMP."""
    found = re.search(rb'Item:Semantic="GainMap"[^>]*Item:Length="(\d+)"', data)
    assert found
    return data[-int(found[1]) :]


def by_pillow(path: Path) -> Decoded:
    """Read with Pillow, the directory in XMP and the map's hdrgm XMP; the base in sRGB."""
    data = path.read_bytes()
    encoded = map_bytes(data)
    pairs = re.findall(rb'hdrgm:(\w+)="([-0-9.]+)"', encoded[:4096])
    base = Image.open(io.BytesIO(data))
    picture = base.convert("RGB")
    if base.info.get("icc_profile"):
        theirs = ImageCms.ImageCmsProfile(io.BytesIO(base.info["icc_profile"]))
        srgb = ImageCms.createProfile("sRGB")
        picture = ImageCms.profileToProfile(picture, theirs, srgb) or picture
    share = Image.open(io.BytesIO(encoded)).convert("L")
    share = share.resize(base.size, Image.Resampling.BILINEAR)
    return Decoded(
        srgb_light(np.asarray(picture)),
        np.asarray(share)[..., None] / 255,
        {name.decode(): float(value) for name, value in pairs},
    )


def by_libvips(path: Path) -> tuple[Light, float]:
    """All of the HDR picture, and its headroom in stops, as libvips reads them by ISO 21496-1."""
    image = pyvips.Image.uhdrload(str(path))
    headroom = float(np.log2(image.get("gainmap-hdr-capacity-max")))
    return np.asarray(image.uhdr2scRGB().numpy(), np.float64), headroom


def by_mpf(data: bytes) -> list[tuple[int, int]]:
    """First byte and end of each picture of a file, by its MPF index."""
    at = data.index(b"MPF\0") + 4
    entries = data[at + 50 : at + 82]
    sizes = [int.from_bytes(entries[i : i + 4], "big") for i in (4, 20)]
    offset = int.from_bytes(entries[24:28], "big")
    return [(0, sizes[0]), (at + offset, at + offset + sizes[1])]
