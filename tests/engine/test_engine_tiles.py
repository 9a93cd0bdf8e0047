"""Geometry of tiles: every pixel covered once, by weight, wherever a window lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drht_plugin.engine.tiles import Axis, tiling
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region

axes = st.builds(
    lambda length, ramp, more, wrap: Axis(length, 2 * ramp + more, 2 * ramp, wrap),
    st.integers(1, 300),
    st.integers(0, 10),
    st.integers(1, 60),
    st.booleans(),
)


def _summed(axis: Axis, start: int, stop: int) -> np.ndarray:
    total = np.zeros(stop - start)
    for piece in axis.pieces(start, stop):
        low, high = piece.start + piece.shift - start, piece.stop + piece.shift - start
        total[low:high] += axis.weights(piece)
    return total


@given(axes, st.data())
def test_weights_sum_to_one_in_any_span(axis: Axis, data: st.DataObject) -> None:
    """The tiles that show at a pixel weigh 1 together, whichever span is asked for."""
    turns = axis.length if axis.wrap else 0
    start = data.draw(st.integers(-turns, axis.length - 1))
    stop = data.draw(st.integers(start + 1, axis.length + turns))
    assert np.abs(_summed(axis, start, stop) - 1).max() < 1e-6


@given(axes, st.data())
def test_a_pixel_has_the_same_tiles_in_every_span(axis: Axis, data: st.DataObject) -> None:
    """Tiles and weights at a pixel do not depend on the span around it."""

    def at(start: int, stop: int) -> list[tuple[int, int, float]]:
        return [
            (p.tile, pixel - p.shift, float(axis.weights(p)[pixel - p.shift - p.start]))
            for p in axis.pieces(start, stop)
            if p.start <= pixel - p.shift < p.stop
        ]

    pixel = data.draw(st.integers(0, axis.length - 1))
    start = data.draw(st.integers(0, pixel))
    stop = data.draw(st.integers(pixel + 1, axis.length))
    assert at(start, stop) == at(pixel, pixel + 1)


@given(axes)
def test_a_turn_of_a_panorama_repeats(axis: Axis) -> None:
    """On a periodic axis the tiles one turn further on are the same ones."""
    if not axis.wrap:
        return
    here = [(p.tile, p.start, p.stop) for p in axis.pieces(0, axis.length)]
    there = [(p.tile, p.start, p.stop) for p in axis.pieces(axis.length, 2 * axis.length)]
    assert here == there


@given(axes)
def test_positions_outside_are_mirrored_or_wrapped(axis: Axis) -> None:
    """Any position stands for a pixel; inside the image it is itself."""
    positions = np.arange(-3 * axis.length, 4 * axis.length)
    inside = axis.to_pixels(positions)
    assert inside.min() >= 0
    assert inside.max() < axis.length
    assert (axis.to_pixels(np.arange(axis.length)) == np.arange(axis.length)).all()
    if axis.wrap:
        assert (np.diff(inside) % axis.length == 1 % axis.length).all()
    else:
        assert np.abs(np.diff(inside)).max() <= 1


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.sampled_from([0, 8, 16, 32]),
    st.sampled_from([0, 16]),
    st.integers(0, 100),
    st.booleans(),
)
def test_windows_cover_every_pixel_once(
    height: int, width: int, halo: int, ramp: int, more: int, wrap: bool
) -> None:
    """The windows of a tiling meet every pixel exactly once, and take no tile after their own."""
    tile = 2 * halo + 3 * ramp + 8 + more
    cut = tiling(height, width, tile, halo=halo, ramp=ramp, stride=8, wrap=wrap)
    hits = np.zeros((height, width), int)
    for n, window in enumerate(cut.windows()):
        rows = np.arange(window.top, window.bottom)
        hits[np.ix_(rows, np.arange(window.left, window.right))] += 1
        down, across = divmod(n, cut.columns.count)
        assert max(p.tile for p in cut.rows.pieces(window.top, window.bottom)) == down
        if not wrap:
            assert max(p.tile for p in cut.columns.pieces(window.left, window.right)) == across
    assert (hits == 1).all()


@given(st.integers(1, 3000), st.integers(0, 500), st.booleans())
def test_no_tile_is_larger_than_asked_for(length: int, more: int, wrap: bool) -> None:
    """A tile's support with its halo fits into the tile's size, rounded to the stride."""
    tile = 2 * 32 + 3 * 16 + 8 + more
    axis = tiling(length, length, tile, halo=32, ramp=16, stride=8, wrap=wrap).columns
    for n in range(axis.count):
        first, last = axis.support(n)
        assert last - first + 2 * 32 <= tile + 8
        assert first % 8 == 0


def test_a_region_grows_inside_its_image() -> None:
    """A margin ends at the image's borders, but goes round a panorama."""
    region = Region(2, 3, 10, 20)
    assert region.dilated(5, 100, 100, wrap=False) == Region(0, 0, 17, 28)
    assert region.dilated(5, 14, 25, wrap=True) == Region(0, -2, 14, 30)
    assert region.dilated(5, 100, 100, wrap=False).holds(region)
    assert not region.holds(region.dilated(1, 100, 100, wrap=False))


@pytest.mark.parametrize(
    ("height", "width", "tile", "halo", "ramp"),
    [
        (0, 5, 256, 32, 16),
        (5, -1, 256, 32, 16),
        (5, 5, 64, 32, 16),
        (5, 5, 256, -8, 16),
        (5, 5, 256, 32, -16),
        (5, 5, 256, 30, 16),
    ],
)
def test_impossible_cuts_are_refused(
    height: int, width: int, tile: int, halo: int, ramp: int
) -> None:
    """Bad geometry is refused by an error that names what was given."""
    with pytest.raises(InputError, match=r"\d"):
        tiling(height, width, tile, halo=halo, ramp=ramp, stride=8, wrap=False)
