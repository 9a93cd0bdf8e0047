"""The tensor renderer on the CPU, against numba's kernels."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DTYPES, Image, picture, seeds

from drht_plugin import Corrector, DrhtWarning, Strength

NEAR = {"uint8": 1, "uint16": 16, "float16": 2e-3, "float32": 2e-4}
"""Largest difference between the two renderers."""


@lru_cache(maxsize=1)
def correctors() -> tuple[Corrector, Corrector]:
    return Corrector(device="cpu", backend="numba"), Corrector(device="cpu", backend="torch")


def difference(a: Image, b: Image) -> float:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0))


@settings(max_examples=24)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 120)),
    st.sampled_from([None, 1, 2, 3, 4]),
    st.sampled_from(DTYPES),
    st.sampled_from(["srgb", "linear"]),
    st.booleans(),
    st.sampled_from([1, 2, 3, 6, 8]),
    st.tuples(st.floats(0, 2), st.floats(0, 1), st.floats(0, 1)),
    seeds,
)
def test_guided_detail(
    size: tuple[int, int],
    channels: int | None,
    dtype: str,
    transfer: str,
    wrap: bool,
    orientation: int,
    applied: tuple[float, float, float],
    seed: int,
) -> None:
    """Both renderers give the same pixels of one scene, for every array and argument."""
    numba, tensors = correctors()
    image = picture(*size, channels, dtype, seed)
    how: dict[str, Any] = {"transfer": transfer, "orientation": orientation}
    if orientation < 5:
        how["wrap"] = wrap
    scene = numba.survey(image, **how)
    strength = Strength(*applied)
    expected = numba.render(scene, image, strength=strength)
    made = tensors.render(scene, image, strength=strength)
    assert difference(made, expected) <= NEAR[dtype]
    # The grid of the estimate is fitted by each of them, so that its rounding comes in.
    radiance = numba.render_hdr(scene, image)
    assert difference(tensors.render_hdr(scene, image), radiance) <= 1e-3 * max(1, radiance.max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [None, 2, 3, 4])
def test_any_bands_are_the_same(dtype: str, channels: int | None) -> None:
    """The tensor renderer gives the same bits whatever the bands."""
    _, tensors = correctors()
    image = picture(61, 83, channels, dtype)
    scene = tensors.survey(image)
    whole = tensors.render(scene, image)
    for rows in (1, 7, 60):
        assert tensors.render(scene, image, tile=rows).tobytes() == whole.tobytes()


@pytest.mark.parametrize("detail", ["guided", "network"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_arrays_that_cannot_be_written(detail: str, dtype: str) -> None:
    """Read-only arrays and views that go backwards render like copies of them."""
    _, tensors = correctors()
    image = picture(70, 90, 3, dtype)
    expected = tensors.correct(image, detail=detail)
    image.flags.writeable = False
    np.testing.assert_array_equal(tensors.correct(image, detail=detail), expected)
    backwards = np.ascontiguousarray(image[::-1, ::-1])[::-1, ::-1]
    np.testing.assert_array_equal(tensors.correct(backwards, detail=detail), expected)


@settings(max_examples=8)
@given(
    st.tuples(st.integers(1, 260), st.integers(1, 260)),
    st.sampled_from([None, 3, 4]),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.sampled_from([1, 3, 6]),
    seeds,
)
def test_network_detail(
    size: tuple[int, int],
    channels: int | None,
    dtype: str,
    wrap: bool,
    orientation: int,
    seed: int,
) -> None:
    """Both renderers give the same pixels in network detail, up to the rounding of bfloat16.

    That is a code of 8 bits, and in noise of which there are a few pixels alone a little more.
    """
    numba, tensors = correctors()
    image = picture(*size, channels, dtype, seed)
    scene = numba.survey(image, wrap=wrap and orientation < 5, orientation=orientation)
    expected = numba.render(scene, image, detail="network", tile=176)
    made = tensors.render(scene, image, detail="network", tile=176)
    code = {"uint8": 1, "uint16": 257}.get(dtype, 4e-3)
    gaps = np.abs(made.astype(np.float64) - expected.astype(np.float64))
    assert np.mean(gaps > code) <= 0.001
    assert gaps.max() <= 4 * code


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("wrap", [False, True])
def test_surveys_agree(dtype: str, wrap: bool) -> None:
    """Scenes of the two surveys render alike within a code."""
    numba, tensors = correctors()
    image = picture(220, 310, 3, dtype)
    first, second = (c.survey(image, wrap=wrap) for c in (numba, tensors))
    made = [numba.render(scene, image) for scene in (first, second)]
    assert difference(*made) <= {"uint8": 1, "float32": 1 / 255}[dtype]
    np.testing.assert_array_equal(first.noise, second.noise)
    np.testing.assert_array_equal(first.ldr, second.ldr)


NO_NUMBA = """
import sys
import numpy as np
from drht_plugin import Corrector, DrhtWarning, Strength
image = np.full((64, 80, 3), 40, np.uint8)
image[:, 40:] = 90
corrector = Corrector(device="cpu", backend="torch")
corrector.correct(image)
corrector.correct(image.astype(np.float32) / 255, detail="network", wrap=True)
corrector.estimate_hdr(image)
sys.exit("numba" in sys.modules)
"""


def test_numba_is_not_imported() -> None:
    """A process that renders in tensors imports no numba."""
    subprocess.run([sys.executable, "-c", NO_NUMBA], check=True, timeout=120)


def test_out_of_memory_halves_the_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memory for a tile, smaller ones give the same picture, and a warning says so."""
    import torch

    _, tensors = correctors()
    image = picture(300, 300, 3, "uint8")
    scene = tensors.survey(image)
    expected = tensors.render(scene, image, detail="network")
    runner = tensors.detail_runners[0]
    real = runner.residual

    def small(planes: torch.Tensor) -> torch.Tensor:
        if max(planes.shape[2:]) > 100:
            raise torch.OutOfMemoryError("no room")
        return real(planes)

    monkeypatch.setattr(runner, "residual", small)
    with pytest.warns(DrhtWarning, match="no memory for tiles of"):
        made = tensors.render(scene, image, detail="network")
    assert difference(made, expected) <= 1
