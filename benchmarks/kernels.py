"""Speed of each kernel: megapixels per second on one core, by CPU time.

The references are half the figures for two cores in `shared/speed.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.suite import Benchmark, Figure, Setting, cpu

HEIGHT, WIDTH = 1000, 4000
MEGAPIXELS = HEIGHT * WIDTH / 1e6
KNOWN = {"bridge": 739 / 2, "accumulate": 837 / 2, "encode": 720 / 2, "slice": 120 / 2}


def run(_: Setting) -> list[Figure]:
    """Measure every kernel on one thread."""
    from drht_plugin.bridge.sharing import limit_threads

    with limit_threads(1):
        return [*_slices(), *_overviews(), *_curves(), *_details()]


def _figure(name: str, work: Callable[[], object], known: str = "") -> Figure:
    speed = MEGAPIXELS / cpu(work)
    ratio = speed / KNOWN[known] if known else None
    return Figure(name, speed, "MP/s", f"{KNOWN[known]:.0f} MP/s" if known else "", ratio)


def picture(channels: int, dtype: str) -> np.ndarray:
    """Return a picture of smooth colours with noise."""
    random = np.random.default_rng(0)
    small = random.random((HEIGHT // 50, WIDTH // 50, channels))
    large = small.repeat(50, 0).repeat(50, 1) + random.normal(0, 0.01, (HEIGHT, WIDTH, channels))
    white = np.iinfo(dtype).max if dtype.startswith("u") else 1
    return (large.clip(0, 1) * white).astype(dtype)


def _settings(dtype: str) -> np.ndarray:
    integer = dtype.startswith("u")
    white = np.iinfo(dtype).max if integer else 1
    smoothed = white if dtype == "uint8" else 0
    return np.array([white, 0.5 if integer else 0, 1, 1, 0.9, 0.8, smoothed], np.float32)


def _slices() -> list[Figure]:
    from drht_plugin.bridge.sizes import LEVELS
    from drht_plugin.bridge.slicing import slice_grid

    random = np.random.default_rng(1)
    figures = []
    for colours, dtype in ((3, "uint8"), (3, "uint16"), (3, "float32"), (1, "uint8")):
        shape = (16, 53, LEVELS * colours * (colours + 1))
        transforms = random.normal(0, 0.4, shape).astype(np.float32)
        sides = random.normal(0, 0.1, (128, 424, 2 * colours)).astype(np.float32)
        pixels = picture(colours, dtype)
        out, settings = np.empty_like(pixels), _settings(dtype)
        place = 0, 0, HEIGHT, WIDTH

        def work(*given: Any, place: Any = place) -> None:
            pixels, transforms, sides, settings, out = given
            slice_grid(pixels, transforms, sides, place, False, settings, out)

        given = pixels, transforms, sides, settings, out
        name = f"slice, {'RGB' if colours == 3 else 'gray'} {dtype}"
        known = "slice" if colours == 3 else ""
        figures.append(_figure(name, lambda work=work, given=given: work(*given), known))
    return figures


def _overviews() -> list[Figure]:
    from drht_plugin.engine.pixels import require_finite, spec_of
    from drht_plugin.engine.survey.overview import overview

    figures = []
    for dtype in ("uint8", "float32"):
        pixels = picture(3, dtype)
        spec = spec_of(pixels)
        work = lambda pixels=pixels, spec=spec: overview(pixels, spec)  # noqa: E731
        figures.append(_figure(f"overview, every row, RGB {dtype}", work))
    pixels = picture(3, "float32")
    figures.append(_figure("check for NaN, RGB float32", lambda: require_finite(pixels, 0)))
    return figures


def _curves() -> list[Figure]:
    """Measure transfer curves on RGB pixels of three values each."""
    from drht_plugin.bridge import curves

    values = np.random.default_rng(2).random(3 * HEIGHT * WIDTH, dtype=np.float32)
    out = np.empty_like(values)
    return [
        _figure("bridge, y to H, RGB", lambda: curves.to_radiance(values, out), "bridge"),
        _figure("sRGB encode, RGB", lambda: curves.encode_srgb(values, out), "encode"),
        _figure("sRGB decode, RGB", lambda: curves.decode_srgb(values, out)),
    ]


def _details() -> list[Figure]:
    from drht_plugin.bridge import detail_planes, slicing
    from drht_plugin.bridge.sizes import CELL, PLANES

    shape = HEIGHT // CELL, WIDTH // CELL
    display, guided = picture(3, "float32"), picture(3, "float32")
    overview = np.random.default_rng(3).random((128, 424, 11), dtype=np.float32)
    planes = np.empty((*shape, PLANES * CELL * CELL), np.float32)
    residual = np.zeros((*shape, 3 * CELL * CELL), np.float32)
    total = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    rows, columns = np.arange(HEIGHT), np.arange(WIDTH)
    weights = np.ones(HEIGHT, np.float32), np.ones(WIDTH, np.float32)
    codes = picture(3, "uint8")
    out, settings = np.empty_like(codes), _settings("uint8")
    inside = overview, HEIGHT, WIDTH, False
    return [
        _figure(
            "input of the detail network",
            lambda: detail_planes.detail_planes(display, guided, rows, columns, *inside, planes),
        ),
        _figure(
            "accumulate a tile",
            lambda: detail_planes.add_tile(guided, residual, 0, 0, *weights, total),
            "accumulate",
        ),
        _figure(
            "mix and encode, RGB uint8",
            lambda: slicing.mix_and_encode(codes, guided, settings, out),
            "encode",
        ),
    ]


BENCHMARKS = (Benchmark("kernels", "each kernel alone, on one core", run),)
