"""The survey's sums over pixels: the kernels against the same in tensor operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drht_plugin.bridge import statistics, tensor_statistics

CPU = torch.device("cpu")
Codes = npt.NDArray[Any]


def codes(height: int, width: int, channels: int, dtype: str, seed: int) -> Codes:
    """Random codes, a part of them transparent where there is alpha."""
    random = np.random.default_rng(seed)
    made = random.integers(0, np.iinfo(dtype).max, (height, width, channels)).astype(dtype)
    if channels in (2, 4):
        made[..., -1] *= random.random((height, width)) < 0.7
    return made


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(1, 4),
    st.sampled_from(["uint8", "uint16"]),
    st.integers(0, 3),
    st.integers(0, 99),
)
def test_area_average(
    size: tuple[int, int],
    cells: tuple[int, int],
    channels: int,
    dtype: str,
    apart: int,
    seed: int,
) -> None:
    """Sums of light are the same to the bit, for any sizes and any distance of sampled rows."""
    (height, width), step = size, 2 * apart + 1
    colours, alpha = (3 if channels > 2 else 1), (channels - 1 if channels in (2, 4) else -1)
    rows = codes(height, width, channels, dtype, seed)[step // 2 :: step]
    if not len(rows):
        return
    count = np.iinfo(dtype).max + 1
    table = np.random.default_rng(seed).integers(0, 1 << 20, (colours, count)).astype(np.int32)
    sums = [np.zeros((*cells, colours + 1), np.int64) for _ in range(2)]
    where = (width * channels, (width, channels, alpha), table, (0, step, height), (0, width))
    flat = np.ascontiguousarray(rows).reshape(-1)
    statistics.area_average(flat, *where, sums[0])
    tensor_statistics.area_average(flat, *where, sums[1], device=CPU)
    np.testing.assert_array_equal(sums[0], sums[1])


@given(st.integers(1, 4), st.sampled_from(["uint8", "uint16"]), st.integers(0, 9))
def test_count_differences(channels: int, dtype: str, seed: int) -> None:
    """Differences are counted alike, but for those whose size rounds to another step."""
    alpha = channels - 1 if channels in (2, 4) else -1
    pixels = codes(20, 300, channels, dtype, seed)
    display = np.linspace(0, 1, np.iinfo(dtype).max + 1).astype(np.float32)
    counts = [np.zeros((2, 16, 1024), np.int64) for _ in range(2)]
    how = (300 * channels, (300, channels, alpha), (2, 3), display, 4096.0)
    statistics.count_differences(pixels.reshape(-1), *how, counts[0])
    tensor_statistics.count_differences(pixels.reshape(-1), *how, counts[1], device=CPU)
    assert counts[0].sum() == counts[1].sum() > 0
    assert np.abs(counts[0] - counts[1]).sum() <= counts[0].sum() // 500


@pytest.mark.parametrize("wrap", [False, True])
def test_fit_statistics(wrap: bool) -> None:
    """The moments of a tone grid are the same to the rounding of float32 products."""
    ldr, target = np.random.default_rng(0).random((2, 96, 72, 3)).astype(np.float32)
    weight = np.random.default_rng(1).random((96, 72)).astype(np.float32)
    moments = [np.zeros((12, 9, 8, 22)) for _ in range(2)]
    statistics.fit_statistics(ldr, target, weight, wrap, moments[0])
    tensor_statistics.fit_statistics(ldr, target, weight, wrap, moments[1], device=CPU)
    np.testing.assert_allclose(moments[0], moments[1], rtol=2e-5, atol=1e-6)


@given(st.integers(1, 4), st.integers(0, 9))
def test_light_codes(channels: int, seed: int) -> None:
    """Floats become the same codes, beyond 0 and 1 too, and alpha becomes 0 or 1."""
    alpha = channels - 1 if channels in (2, 4) else -1
    pixels = np.random.default_rng(seed).uniform(-0.2, 1.3, (7, 11, channels)).astype(np.float32)
    if alpha >= 0:
        pixels[::2, :, alpha] = 0
    made = [np.empty((7, 11 * channels), np.uint16) for _ in range(2)]
    statistics.light_codes(pixels.reshape(-1), 11 * channels, channels, alpha, made[0])
    tensor_statistics.light_codes(
        pixels.reshape(-1), 11 * channels, channels, alpha, made[1], device=CPU
    )
    np.testing.assert_array_equal(made[0], made[1])
