"""The detail network's input planes against plain numpy, and how far it sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drht_plugin.bridge.detail_planes import detail_planes, fill_hidden
from drht_plugin.bridge.sizes import CELL, DETAIL_STRIDE, HALO, MEAN_RADIUS, PLANES
from drht_plugin.model.detail_network import DetailNetwork

FloatArray = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def _at(
    overview: FloatArray, rows: Indices, columns: Indices, height: int, width: int, wrap: bool
) -> npt.NDArray[np.float64]:
    """The overview at pixels of the image, bilinear: R×C×k."""
    h, w, _ = overview.shape
    down = ((rows + 0.5) / height * h - 0.5).clip(0, h - 1)
    across = (columns + 0.5) / width * w - 0.5
    if not wrap:
        across = across.clip(0, w - 1)
    top, left = np.floor(down).astype(int), np.floor(across).astype(int)
    low, share = overview[top], (down - top)[:, None, None]
    lines = low + share * (overview[np.minimum(top + 1, h - 1)] - low)
    beside = (left + 1) % w if wrap else np.minimum(left + 1, w - 1)
    low, share = lines[:, left % w], (across - left)[None, :, None]
    return low + share * (lines[:, beside] - low)


def _against(picture: FloatArray) -> npt.NDArray[np.float64]:
    """A picture less its means over 5×5 pixels, the outermost counted again."""
    rows, columns, _ = picture.shape
    border = (MEAN_RADIUS, MEAN_RADIUS)
    padded = np.pad(picture.astype(float), (border, border, (0, 0)), "edge")
    side = 2 * MEAN_RADIUS + 1
    shifted = [padded[i : i + rows, j : j + columns] for i in range(side) for j in range(side)]
    return picture - np.mean(shifted, 0)


def _expected(
    display: FloatArray, guided: FloatArray, told: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """R×C×PLANES, as `layout.PLANES` lists them."""
    x, corrected, y, noise = told[..., :3], told[..., 3:6], told[..., 6:9], told[..., 9:]
    clipped = ((display.max(-1, keepdims=True) - 0.95) / 0.05).clip(0)
    seen_noise = (20 * noise).clip(max=1)
    own = _against(display)
    usual = 2 * seen_noise[..., :1] / 20 + 0.25 / 255
    snr = own / (np.abs(own) + usual)
    planes = display, display - x, corrected, y.clip(0, 3), guided, clipped, seen_noise, snr
    return np.concatenate([*planes, 8 * _against(guided)], -1)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_planes(places: tuple[int, int], small: tuple[int, int], wrap: bool, seed: int) -> None:
    """The planes are the formulas', of 2×2 pixels after one another, to 2e-5."""
    random = np.random.default_rng(seed)
    size = CELL * places[0], CELL * places[1]
    height, width = (int(random.integers(side, 3 * side + 1)) for side in size)
    rows = random.integers(0, height) + np.arange(size[0])
    rows = np.minimum(rows, height - 1)
    columns = (random.integers(0, width) + np.arange(size[1])) % width
    display, guided = random.random((2, *size, 3), np.float32)
    overview = random.random((*small, 11), np.float32) * 1.2
    overview[..., 9:] *= 0.06
    planes = np.full((*places, PLANES * CELL * CELL), np.nan, np.float32)
    detail_planes(display, guided, rows, columns, overview, height, width, wrap, planes)
    pixels = planes.reshape(*places, CELL, CELL, PLANES).swapaxes(1, 2).reshape(*size, PLANES)
    told = _at(overview, rows, columns, height, width, wrap)
    np.testing.assert_allclose(pixels, _expected(display, guided, told), rtol=2e-5, atol=2e-5)


def test_hidden_pixels_show_the_overview() -> None:
    """Hidden pixels get the overview's x and T, others keep theirs bit for bit."""
    random = np.random.default_rng(3)
    display, guided = random.random((2, 10, 14, 3), np.float32)
    overview = random.random((4, 5, 11), np.float32)
    hidden = random.random((10, 14)) < 0.4
    rows, columns = np.arange(10), np.arange(14)
    seen, corrected = display.copy(), guided.copy()
    fill_hidden(hidden, rows, columns, overview, 10, 14, False, seen, corrected)
    told = _at(overview, rows, columns, 10, 14, False)
    np.testing.assert_allclose(seen[hidden], told[hidden][:, :3], atol=1e-6)
    np.testing.assert_allclose(corrected[hidden], told[hidden][:, 3:6], atol=1e-6)
    assert (seen[~hidden] == display[~hidden]).all()
    assert (corrected[~hidden] == guided[~hidden]).all()


@pytest.mark.parametrize("place", ["within", "after", "before"])
def test_the_network_sees_as_far_as_its_halo(place: str) -> None:
    """What a stride of output depends on ends with the halo all round, and not before."""
    torch.manual_seed(1)
    network = DetailNetwork().eval().requires_grad_(False)
    torch.nn.init.normal_(network.project.weight)
    margin = HALO + DETAIL_STRIDE
    side = 2 * margin + DETAIL_STRIDE
    random = np.random.default_rng(5)
    display, guided = random.random((2, side, side, 3), np.float32)
    overview = random.random((8, 8, 11), np.float32)
    inside = slice(margin // CELL, (margin + DETAIL_STRIDE) // CELL)

    def lacking(picture: FloatArray) -> Any:
        planes = np.empty((side // CELL, side // CELL, PLANES * CELL * CELL), np.float32)
        at = np.arange(side)
        detail_planes(picture, guided, at, at, overview, side, side, False, planes)
        given = torch.from_numpy(planes).permute(2, 0, 1)[None]
        return network(given)[0, :, inside, inside].numpy()

    other = display.copy()
    ring = np.ones((side, side), bool)
    # Pixels right of and below the halo, the halo's last ones as well, or those left and above.
    last = margin + DETAIL_STRIDE + HALO - (place == "within")
    inner = slice(DETAIL_STRIDE, None) if place == "before" else slice(last)
    ring[inner, inner] = False
    other[ring] = random.random((int(ring.sum()), 3), np.float32)
    assert (lacking(other) == lacking(display)).all() == (place != "within")
