"""The limits of the machine, measured in the same run as the benchmarks compared with them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.suite import Benchmark, CannotRun, Figure, Setting, wall

FP32, BF16 = "convolution fp32", "convolution bf16"
COPY, FILE_COPY = "memory copy", "file copy"

_SIDE, _CHANNELS = 128, 256


def run(setting: Setting) -> list[Figure]:
    """Measure convolutions in both precisions, a memory copy and a file copy."""
    import torch

    from drht_plugin.model.device import tune_allocator

    tune_allocator()
    figures = [
        Figure(FP32, _convolution(setting.device, torch.float32), "GFLOP/s"),
        Figure(BF16, _convolution(setting.device, torch.bfloat16), "GFLOP/s"),
    ]
    source = np.ones(1 << 28, np.uint8)
    target = np.empty_like(source)
    seconds = wall(lambda: np.copyto(target, source))
    figures.append(Figure(COPY, 2 * source.nbytes / seconds / 1e9, "GB/s, one thread, both ways"))
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder, "one"), Path(folder, "other")
        one.write_bytes(source.data)

        def copy() -> None:
            with one.open("rb") as reading, other.open("wb") as writing:
                while block := reading.read(1 << 22):
                    writing.write(block)
                writing.flush()
                os.fsync(writing.fileno())

        figures.append(Figure(FILE_COPY, source.nbytes / wall(copy, 3) / 1e9, "GB/s, synchronised"))
    return figures


def _convolution(device: str, dtype: object) -> float:
    """Return the GFLOP/s of a 3×3 convolution of 256 channels in channels-last layout."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise CannotRun("no CUDA device")
    batch = 64 if device == "cuda" else 1
    picture = torch.rand(batch, _CHANNELS, _SIDE, _SIDE, device=device).to(dtype)
    picture = picture.to(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(_CHANNELS, _CHANNELS, 3, 1, 1).to(device, dtype)
    layer = layer.to(memory_format=torch.channels_last)

    def convolve() -> None:
        with torch.inference_mode():
            layer(picture)
        if device == "cuda":
            torch.cuda.synchronize()

    flops = 2 * 9 * _CHANNELS**2 * _SIDE**2 * batch
    return flops / wall(convolve, 15) / 1e9


BENCHMARKS = (Benchmark("ceilings", "convolution, memory copy, file copy", run),)
