"""Measure the tensor renderer against numba's kernels, on the device that the benchmarks run on.

On the CPU it says what its plain operations cost, where it is an oracle only. With --device cuda it
measures whole calls, from an array to an array, and the parts that bound them: the bus, the slice,
the detail network.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.suite import Benchmark, CannotRun, Figure, Setting, in_turn

_CPU_SIZE, _CPU_NETWORK_SIZE = (2000, 3000), (800, 1200)
_SIZE, _GIGAPIXEL = (4000, 6000), (25_000, 40_000)
_TILE = 2048


class _Launches(TorchDispatchMode):
    """Counts operations on tensors, but not those that only make a view."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, function: Any, _types: Any, given: Any = (), named: Any = None
    ) -> Any:
        self.count += not function.is_view
        return function(*given, **(named or {}))


def _picture(size: tuple[int, int]) -> np.ndarray:
    """Return a dark picture of random patches with noise, 8-bit RGB."""
    random = np.random.default_rng(0)
    rows, columns = (side // 50 for side in size)
    patches = random.integers(0, 80, (rows, columns, 3)).repeat(50, 0).repeat(50, 1)
    noise = random.integers(0, 8, (50 * rows, 50 * columns, 1))
    return (patches + noise).astype(np.uint8)


def run(_: Setting) -> list[Figure]:
    """Measure both renderers on the CPU, in turn."""
    from drht_plugin import Corrector

    correctors = [Corrector(device="cpu", backend=name) for name in ("numba", "torch")]
    figures = []
    for detail, size in (("guided", _CPU_SIZE), ("network", _CPU_NETWORK_SIZE)):
        image = _picture(size)
        scene, out = correctors[0].survey(image), np.empty_like(image)
        calls: list[Callable[[], object]] = [
            lambda c=c, i=image, s=scene, o=out, d=detail: c.render(s, i, detail=d, out=o)  # type: ignore[misc]
            for c in correctors
        ]
        numba, tensors = in_turn(*calls, repeats=3)
        pixels = image.size / 3e6
        figures.append(Figure(f"{detail} detail, numba", pixels / numba, "MP/s"))
        figures.append(
            Figure(f"{detail} detail, tensors", pixels / tensors, "MP/s", "numba", numba / tensors)
        )
    image = _picture(_CPU_SIZE)
    surveys = in_turn(*(lambda c=c: c.survey(image) for c in correctors), repeats=3)  # type: ignore[misc]
    figures += [
        Figure(f"survey of 6 MP, {name}", seconds, "s")
        for name, seconds in zip(("numba", "tensors"), surveys, strict=True)
    ]
    return figures


def run_counts(_: Setting) -> list[Figure]:
    """Count operations for a band or tile, and the bytes of a pixel that cross the bus.

    Each operation on tensors is a launch on an accelerator, or a few of them.
    """
    from drht_plugin import Corrector
    from drht_plugin.engine.render.network.windows import NetworkRenderer
    from drht_plugin.engine.render.tensors import bands

    corrector = Corrector(device="cpu", backend="torch")
    figures = []
    for detail, side in (("guided", None), ("network", 512)):
        image = _picture((950, 950))
        scene = corrector.survey(image)
        parts = 1
        if side is not None:
            cut = NetworkRenderer.tiling_of(scene.spec, side, wrap=False)
            parts = cut.rows.count * cut.columns.count
        moved = []
        up, down = bands.upload, bands.download

        def upload(pixels: Any, device: Any, up: Any = up, moved: Any = moved) -> Any:
            moved.append(pixels.nbytes)
            return up(pixels, device)

        def download(made: Any, down: Any = down, moved: Any = moved) -> Any:
            moved.append(made.nbytes)
            return down(made)

        bands.upload, bands.download = upload, download  # type: ignore[assignment]
        try:
            with _Launches() as launches:
                corrector.render(scene, image, detail=detail, tile=side)
        finally:
            bands.upload, bands.download = up, down
        what = "tile" if side else "band"
        figures.append(Figure(f"{detail}, operations a {what}", launches.count / parts, ""))
        each = sum(moved) / image[..., 0].size
        figures.append(Figure(f"{detail}, bytes of a pixel over the bus", each, "B"))
    return figures


def run_on_device(setting: Setting) -> list[Figure]:
    """Measure whole calls and their parts on a CUDA device, from an array to an array."""
    if setting.device != "cuda" or not torch.cuda.is_available():
        raise CannotRun("it needs a CUDA device and --device cuda")
    from drht_plugin import Corrector

    start = time.perf_counter()
    corrector = Corrector(device="cuda")
    small = _picture((200, 300))
    corrector.correct(small)
    figures = [Figure("first call of the process", time.perf_counter() - start, "s")]
    for name, size in (("24 MP", _SIZE), ("a gigapixel", _GIGAPIXEL)):
        image = _picture(size)
        out = np.empty_like(image)
        for detail, aim in (("guided", 3000), ("network", 800)):
            corrector.render(corrector.survey(small), small, detail=detail)
            torch.cuda.reset_peak_memory_stats()
            tile = _TILE if detail == "network" else None
            start = time.perf_counter()
            corrector.correct(image, detail=detail, tile=tile, out=out)
            speed = image.size / 3e6 / (time.perf_counter() - start)
            figures.append(Figure(f"{detail}, {name}", speed, "MP/s", f"{aim} MP/s", speed / aim))
            memory = torch.cuda.max_memory_allocated() / 2**30
            figures.append(Figure(f"{detail}, {name}, device memory", memory, "GiB"))
    return figures


BENCHMARKS = (
    Benchmark("backends", "tensor operations against numba's kernels, on the CPU", run),
    Benchmark("launches", "operations a tile and bytes over the bus, by count", run_counts),
    Benchmark("device", "both details on a GPU, array to array", run_on_device, device="cuda"),
)
