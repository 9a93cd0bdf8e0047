"""The light that a gain map is made from, and the map's size."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drht_plugin.gain_map import light


@given(height=st.integers(1, 65500), width=st.integers(1, 65500))
def test_size_is_bounded_and_keeps_the_shape(height: int, width: int) -> None:
    """A map has a megapixel at most, covers the picture, and is no smaller than it needs to be."""
    rows, columns = light.map_size(height, width)
    assert 1 <= rows * columns <= light.MOST_PIXELS
    if height * width <= light.MOST_PIXELS:
        assert (rows, columns) == (height, width)
    factor = -(-height // rows)
    assert abs(width - columns * factor) < factor * 2 or min(rows, columns) < 64


@given(
    height=st.integers(1, 40), width=st.integers(1, 40), most=st.integers(1, 400), data=st.data()
)
def test_means_do_not_depend_on_bands(
    height: int, width: int, most: int, data: st.DataObject
) -> None:
    """Whatever the bands, a cell is the mean of the pixels whose centres it holds."""
    pixels = np.random.default_rng(0).random((height, width, 1), np.float32)
    cuts = data.draw(st.sets(st.integers(1, max(height - 1, 1))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(light, "MOST_PIXELS", max(most, 2))
        rows, columns = light.map_size(height, width)
        sink = light.MeanLuminance(height, width, lambda given: given[..., 0])
    edges = sorted({0, height, *(cut for cut in cuts if cut < height)})
    for top, bottom in pairwise(edges):
        sink[top:bottom] = pixels[top:bottom]
    sums, counts = np.zeros((rows, columns)), np.zeros((rows, columns))
    down = (2 * np.arange(height) + 1) * rows // (2 * height)
    across = (2 * np.arange(width) + 1) * columns // (2 * width)
    np.add.at(sums, (down[:, None], across), pixels[..., 0])
    np.add.at(counts, (down[:, None], across), 1)
    assert counts.min() > 0
    np.testing.assert_allclose(sink.mean(), sums / counts, rtol=1e-5)
