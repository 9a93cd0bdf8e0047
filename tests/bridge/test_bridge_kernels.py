"""The bridge's kernels against the formulas in `transfer`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drht_plugin.bridge import curves, jit, sharing, transfer

FloatArray = npt.NDArray[np.float32]


def numbers(low: float, high: float) -> st.SearchStrategy[FloatArray]:
    """1 to 40 float32 numbers, so that vector bodies and scalar tails both occur."""
    each = st.floats(low, high, width=32)
    return st.lists(each, min_size=1, max_size=40).map(lambda v: np.array(v, np.float32))


def run(kernel: Callable[..., Any], values: FloatArray) -> FloatArray:
    """A kernel from array to array."""
    out = np.empty_like(values)
    kernel(values, out)
    return out


@given(numbers(-1.0, 70.0))
def test_srgb_encode(linear: FloatArray) -> None:
    """Encoding is the formula's, to 1e-6 of the value or absolutely near black."""
    expected = transfer.srgb_encode(linear.astype(np.float64))
    np.testing.assert_allclose(run(curves.encode_srgb, linear), expected, rtol=2e-6, atol=3e-7)


@given(numbers(-1.0, 8.0))
def test_srgb_decode(coded: FloatArray) -> None:
    """Decoding is the formula's, to 3e-6 of the value."""
    expected = transfer.srgb_decode(coded.astype(np.float64))
    np.testing.assert_allclose(run(curves.decode_srgb, coded), expected, rtol=3e-6, atol=1e-9)


@given(numbers(-1.0, 10.0))
def test_to_radiance(y: FloatArray) -> None:
    """Y becomes H = (max(y, 0)/α)^(1/γ), at most 64, to 4e-6 of the value."""
    expected = transfer.to_radiance(y.astype(np.float64))
    result = run(curves.to_radiance, y)
    np.testing.assert_allclose(result, expected, rtol=4e-6, atol=1e-29)
    assert (result >= 0).all()
    assert (result <= transfer.H_MAX).all()


@given(numbers(-1.0, 64.0))
def test_srgb_round_trip(linear: FloatArray) -> None:
    """Encoding and decoding gives the value back, to 1e-5 of it."""
    again = run(curves.decode_srgb, run(curves.encode_srgb, linear))
    np.testing.assert_allclose(again, linear, rtol=1e-5, atol=1e-7)


@given(numbers(0.0, 64.0))
def test_radiance_round_trip(radiance: FloatArray) -> None:
    """H to y by the formula and back by the kernel gives H, to 1e-5 of it."""
    y = transfer.to_ldr_domain(radiance).astype(np.float32)
    np.testing.assert_allclose(run(curves.to_radiance, y), radiance, rtol=1e-5, atol=1e-29)


def test_next_to_nothing() -> None:
    """What is too small for its power to be a number gives 0, not what the bits overflow to."""
    y = np.array([0.0, 1e-45, 1e-38, 1e-30, 1.1e-30, 8.7e-21, 1e-18, 1e-17, 1e-16], np.float32)
    expected = transfer.to_radiance(y.astype(np.float64))
    np.testing.assert_allclose(run(curves.to_radiance, y), expected, rtol=1e-5, atol=2.0**-126)


@pytest.mark.parametrize("kernel", [curves.encode_srgb, curves.decode_srgb, curves.to_radiance])
def test_monotone_and_exact_at_the_ends(kernel: Callable[..., Any]) -> None:
    """Curves rise, are odd or 0 below 0, and keep 0 and 1."""
    values = np.linspace(0, 4, 100_001, dtype=np.float32)
    result = run(kernel, values)
    # Rounding may turn neighbours that lie a few units of the last place apart.
    assert np.diff(result).min() > -2e-6 * result.max()
    assert result[0] == 0
    assert abs(result[25_000] - 1) < 1e-6
    below = run(kernel, -values)
    assert np.array_equal(below, 0 * values if kernel is curves.to_radiance else -result)


@pytest.mark.parametrize("kernel", [curves.encode_srgb, curves.decode_srgb, curves.to_radiance])
def test_a_value_does_not_know_its_place(kernel: Callable[..., Any]) -> None:
    """A number gives the same bits wherever in an array it stands, in arrays of any length."""
    values = np.random.default_rng(0).random(1013, dtype=np.float32)
    whole = run(kernel, values)
    for start, stop in ((1, 1013), (7, 8), (500, 531), (1000, 1013)):
        assert np.array_equal(run(kernel, values[start:stop].copy()), whole[start:stop])


def test_curves_work_in_place() -> None:
    """Input and output may be one array."""
    values = np.linspace(-1, 2, 999, dtype=np.float32)
    expected = run(curves.decode_srgb, values)
    curves.decode_srgb(values, values)
    assert np.array_equal(values, expected)


@given(st.floats(0, 1e4), st.floats(1e-6, 1))
def test_formulas(value: float, share: float) -> None:
    """The formulas are odd, invert one another, and meet where their two branches do."""
    x = np.array([value, -value])
    coded = transfer.srgb_encode(x)
    assert coded[0] == -coded[1]
    np.testing.assert_allclose(transfer.srgb_decode(coded), x, rtol=1e-4, atol=1e-9)
    end = np.array([transfer.SRGB_LINEAR_END, np.nextafter(transfer.SRGB_LINEAR_END, 1)])
    assert abs(np.diff(transfer.srgb_encode(end))[0]) < 1e-7
    radiance = np.array([share * transfer.H_MAX])
    again = transfer.to_radiance(transfer.to_ldr_domain(radiance))
    np.testing.assert_allclose(again, radiance, rtol=1e-12)
    assert transfer.to_ldr_domain(np.ones(1))[0] == transfer.ALPHA
    np.testing.assert_allclose(transfer.to_log(radiance), np.log(radiance + 1 / 255))


@given(st.integers(1, 40), st.integers(1, 5), st.sampled_from([1, 1 << 16]))
def test_rows_are_shared_once(rows: int, threads: int, columns: int) -> None:
    """Every row is worked on once, whatever the number of threads; few pixels stay on one."""
    done: list[tuple[int, int, int]] = []
    before = sharing.most_threads()
    with sharing.limit_threads(threads):
        sharing.share_rows(rows, columns, lambda a, b: done.append((a, b, threading.get_ident())))
    assert [row for a, b, _ in sorted(done) for row in range(a, b)] == list(range(rows))
    assert len(done) <= min(threads, before)
    if columns == 1:
        assert [done[0][2]] == [threading.get_ident()]


def test_a_failing_thread_is_heard() -> None:
    """What is raised on another thread comes out of the call."""
    before = sharing.most_threads()
    if before < 2:
        pytest.skip("numba has one thread here")

    def work(first: int, last: int) -> None:
        if first:
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        sharing.share_rows(100, 1 << 16, work)


CACHE_PROBE = """
import numpy as np
from drht_plugin.bridge import curves
a = np.ones(4, np.float32)
curves.encode_srgb(a, np.empty_like(a))
"""


@pytest.mark.parametrize("writable", [True, False])
def test_compiled_kernels_are_kept_among_the_users_caches(tmp_path: Path, writable: bool) -> None:
    """Nothing is written beside the installed source; without a cache folder kernels still run."""
    home = tmp_path / "home"
    if writable:
        home.mkdir()
    else:
        home.write_bytes(b"")
    source = Path(jit.__file__).parent
    before = set(source.rglob("*.nb?"))
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    subprocess.run(
        [sys.executable, "-c", CACHE_PROBE],
        env={**environment, "XDG_CACHE_HOME": str(home), "HOME": str(home)},
        check=True,
        timeout=120,
    )
    assert set(source.rglob("*.nb?")) == before
    if writable:
        assert list((home / "drht_plugin" / "kernels").rglob("*.nbi"))
