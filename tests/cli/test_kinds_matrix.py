"""Every kind of picture becomes every kind of file, by the command, as other software reads it.

Nothing is corrected (`--strength 0`), so that the values that a target must hold follow from those
that the source was made of, by formulas that stand here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import io_samples as made
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from io_samples import SAMPLES, Sample
from PIL import Image

from drht_plugin.cli import main

Values = npt.NDArray[np.float64]

P3_TO_SRGB = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
"""From linear Display P3 to linear sRGB (both D65)."""


def by_pillow(path: Path) -> npt.NDArray[Any]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def by_opencv(path: Path) -> npt.NDArray[Any]:
    pixels: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return pixels


def tiff(path: Path) -> npt.NDArray[Any]:
    """By tifffile, or by OpenImageIO where that lacks the decoder."""
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages.first
        plain = page.compression in (1, 8) and page.predictor in (1, 2)
        return np.asarray(page.asarray()) if plain else by_openimageio(path)


def by_openimageio(path: Path) -> npt.NDArray[Any]:
    return made.stored(path)


def profile_in(path: Path) -> bytes | None:
    """A file's ICC profile, by Pillow or, of TIFF, by tifffile."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            tag = file.pages.first.tags.get("InterColorProfile")
            return tag and bytes(tag.value)
    with Image.open(path) as picture:
        return picture.info.get("icc_profile")


def png(path: Path) -> npt.NDArray[Any]:
    """By Pillow for 8 bits and for gray with alpha, by OpenCV for others."""
    with Image.open(path) as picture:
        eight = picture.mode in ("L", "LA", "RGB", "RGBA")
    header = made.header(path)
    if eight and str(header.format) == "uint8":
        return by_pillow(path)
    return by_openimageio(path) if header.nchannels == 2 else by_opencv(path)


@dataclass(frozen=True)
class Target:
    """A kind of file: what it holds, and who reads it."""

    suffix: str
    read: Callable[[Path], npt.NDArray[Any]]
    dtypes: dict[str, str]
    channels: dict[int, int]
    linear: bool = False
    turned: bool = False
    profile: bool = True
    beside: tuple[str, ...] = ("EXIF", "XMP", "resolution")
    loss: float = 0.0


EIGHT = dict.fromkeys(("uint8", "uint16", "float16", "float32"), "uint8")
SAME = {name: name for name in EIGHT}
WHOLE = {**SAME, "float16": "uint16", "float32": "uint16"}
FLOAT = dict.fromkeys(EIGHT, "float32")
ANY = {1: 1, 2: 2, 3: 3, 4: 4}
OPAQUE = {1: 1, 2: 1, 3: 3, 4: 3}

TARGETS = [
    Target("jpg", by_pillow, EIGHT, OPAQUE, loss=0.03),
    Target("png", png, WHOLE, ANY),
    Target("webp", by_pillow, EIGHT, {1: 3, 2: 4, 3: 3, 4: 4}, loss=0.05),
    # Pillow's decoder gives 8 bits of any depth.
    Target("avif", by_pillow, EIGHT, {1: 3, 2: 4, 3: 3, 4: 4}, turned=True, loss=0.05),
    Target("tif", tiff, SAME, ANY),
    Target("jxl", by_openimageio, SAME, {1: 1, 2: 4, 3: 3, 4: 4}, turned=True, loss=0.05),
    Target("jp2", by_opencv, WHOLE, {1: 1, 2: 4, 3: 3, 4: 4}, turned=True),
    Target(
        "exr",
        by_openimageio,
        {**FLOAT, "uint8": "float16", "float16": "float16"},
        ANY,
        linear=True,
        turned=True,
        profile=False,
        beside=(),
    ),
    Target(
        "hdr",
        by_opencv,
        FLOAT,
        {1: 3, 2: 3, 3: 3, 4: 3},
        linear=True,
        turned=True,
        profile=False,
        beside=(),
        loss=0.01,
    ),
    Target("pfm", by_opencv, FLOAT, OPAQUE, linear=True, turned=True, profile=False, beside=()),
    Target("ppm", by_opencv, WHOLE, OPAQUE, turned=True, profile=False, beside=()),
]
MATRIX = [(sample, target) for target in TARGETS for sample in SAMPLES]
LINEAR = (".exr", ".hdr", ".pfm")


def source_values(sample: Sample, path: Path, pixels: npt.NDArray[Any]) -> Values:
    """What a source holds, white at 1: what it was made of, or what is left by its own losses."""
    if not sample.lossless and sample.suffix in (".jpg", ".jpeg", ".webp"):
        pixels = np.atleast_3d(by_pillow(path))
    elif sample.suffix == ".hdr":
        pixels = by_opencv(path)
    elif sample.name == "avif-10":  # the encoder keeps the upper bits
        return (pixels >> 6).astype(np.float64) / 1023
    white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    return pixels.astype(np.float64) / white


def decode(codes: Values) -> Values:
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def encode(light: Values) -> Values:
    high = 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, high)


def expected(sample: Sample, target: Target, values: Values, *, p3: bool) -> Values:
    """What a target must hold, white at 1; not turned."""
    alpha = values[..., -1:] if sample.channels in (2, 4) else None
    colours = values[..., :-1] if alpha is not None else values
    # The encoder of JPEG XL states that its floats are linear.
    linear = sample.suffix in LINEAR or (target.linear and sample.name == "jxl-float")
    if alpha is not None and target.channels[sample.channels] in (1, 3):
        colours, alpha = colours * alpha + (1 - alpha), None  # over white
    if target.linear and not linear:
        colours = decode(colours)
        if p3 and colours.shape[2] == 3:
            colours = colours @ P3_TO_SRGB.T
    elif linear and not target.linear:
        colours = encode(colours)
    if target.suffix == "hdr":
        colours = np.maximum(colours, 0)
    if target.channels[sample.channels] > 2 and colours.shape[2] == 1:
        colours = colours.repeat(3, -1)
    return colours if alpha is None else np.concatenate([colours, alpha], -1)


@pytest.fixture(scope="module")
def made_sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Values]]:
    """A file of every kind, and its values."""
    folder = tmp_path_factory.mktemp("sources")
    sources = {}
    for sample in SAMPLES:
        (folder / sample.name).mkdir()
        path, pixels = sample.create(folder / sample.name)
        named = path.rename(folder / f"{sample.name}{sample.suffix}")
        sources[sample.name] = named, source_values(sample, named, pixels)
    return sources


@pytest.fixture(scope="module")
def results(
    made_sources: dict[str, tuple[Path, Values]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Path and report of every pair; each format's pictures are one command."""
    folder = tmp_path_factory.mktemp("results")
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    names = [str(path) for path, _ in made_sources.values()]
    for target in TARGETS:
        out = folder / target.suffix
        command = ["correct", *names, "--format", target.suffix, "-o", str(out), "--json"]
        with redirect_stdout(StringIO()) as told:
            assert main([*command, "--strength", "0", "--suffix", "-x"]) == 0
        lines = told.getvalue().splitlines()
        *reports, summary = [json.loads(line) for line in lines]
        assert summary["summary"]["corrected"] == len(names)
        for sample, report in zip(SAMPLES, reports, strict=True):
            found[f"{sample.name}-{target.suffix}"] = Path(report["target"]), report
    return found


@pytest.mark.parametrize(
    ("sample", "target"),
    MATRIX,
    ids=lambda value: getattr(value, "name", "") or value.suffix,
)
def test_every_kind_becomes_every_kind(
    sample: Sample,
    target: Target,
    made_sources: dict[str, tuple[Path, Values]],
    results: dict[str, tuple[Path, dict[str, Any]]],
) -> None:
    """Pixels are right as another reader sees them; metadata are kept, or said to be dropped."""
    _, values = made_sources[sample.name]
    path, report = results[f"{sample.name}-{target.suffix}"]
    assert path.name == f"{sample.name}-x{path.suffix}"
    found = np.atleast_3d(target.read(path))
    dtype = target.dtypes[sample.dtype]
    assert found.dtype.name == dtype
    assert found.shape[2] == target.channels[sample.channels]
    p3 = sample.icc
    wanted = expected(sample, target, values, p3=p3)
    if target.turned and sample.exif and sample.make is made.pillow:
        wanted = np.rot90(wanted, -1)  # EXIF's orientation 6
    if target.suffix == "exr" and wanted.shape[2] in (2, 4):
        wanted[..., :-1] *= wanted[..., -1:]
    white = np.iinfo(found.dtype).max if found.dtype.kind == "u" else 1.0
    step = 1 / white if found.dtype.kind == "u" else 2e-3
    lossless_here = target.suffix in ("webp", "jxl") and sample.lossless and sample.suffix != ".hdr"
    wanted = wanted.clip(0, 1) if white > 1 else wanted
    _require_close(found / white, wanted, target, step, lossless_here)
    _require_metadata(sample, target, path, report)


def _require_close(
    found: Values, wanted: Values, target: Target, step: float, lossless: bool
) -> None:
    assert found.shape == wanted.shape
    if found.shape[2] in (2, 4):  # what is not seen may differ
        seen = wanted[..., -1:] > 0
        found, wanted = found * seen, wanted * seen
    difference = np.abs(found - wanted)
    if target.loss and not lossless:
        assert np.abs(difference).mean() <= target.loss
        assert np.abs(found.mean() - wanted.mean()) <= target.loss / 3
    else:
        assert difference.max() <= 1.01 * step + 2e-3 * (target.linear * wanted.max())


def _require_metadata(sample: Sample, target: Target, path: Path, report: dict[str, Any]) -> None:
    dropped = report["dropped"]
    for name, had in (
        ("EXIF", sample.exif),
        ("XMP", sample.xmp),
        ("resolution", sample.density),
    ):
        if had and name not in target.beside:
            assert name in dropped
        elif had:
            assert name not in dropped
    if sample.exif and "EXIF" in target.beside and target.suffix not in ("jxl", "jp2"):
        assert made.tags(path)["Model"] == "Camera 1"
    if sample.xmp and "XMP" in target.beside:
        assert b"http://ns.adobe.com/xap/1.0/" in path.read_bytes() or target.suffix == "jxl"
    if not sample.icc or sample.channels < 3:
        return
    if target.profile:
        assert "ICC profile" not in dropped
        if target.suffix in ("jpg", "png", "webp", "avif", "tif"):
            assert profile_in(path)
    elif not target.linear:
        assert "ICC profile" in dropped
    else:  # it was obeyed
        assert "display codes to linear light" in report["converted"]


def test_the_matrix_is_large() -> None:
    """There are more than 300 pairs, and every pair of formats is among them."""
    assert len(MATRIX) > 300
