"""libvips pipelines rendered in tensors."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips

from drht_plugin import vips


@pytest.mark.parametrize("detail", ["guided", "network"])
@pytest.mark.parametrize("wrap", [False, True])
def test_tensors_in_pipelines(detail: str, wrap: bool) -> None:
    """A pipeline gives the same pixels by tensors as by numba's kernels, within a code."""
    array = np.random.default_rng(2).integers(0, 90, (210, 330, 3), np.uint8)
    image = pyvips.Image.new_from_array(array)
    made = [
        vips.correct(image, detail=detail, wrap=wrap, device="cpu", backend=backend).numpy()
        for backend in ("numba", "torch")
    ]
    assert np.abs(made[0].astype(int) - made[1]).max() <= 1
    assert (made[0] == made[1]).mean() > 0.98
    assert (made[1] != array).mean() > 0.5


def test_the_operation_takes_a_backend() -> None:
    """`image.drht_correct(backend=…)` hands the backend on, and refuses one that is unknown."""
    vips.register()
    image = pyvips.Image.new_from_array(np.full((60, 80, 3), 40, np.uint8))
    made = image.drht_correct(backend="torch", device="cpu").numpy()
    expected = image.drht_correct(backend="numba", device="cpu").numpy()
    assert np.abs(made.astype(int) - expected).max() <= 1
    with pytest.raises(Exception, match="backend is 'tpu'"):
        image.drht_correct(backend="tpu").numpy()
