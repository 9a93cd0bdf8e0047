"""Network detail in a pipeline, with a network of random weights."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
import torch
from strategies import corrector

from drht_plugin import Corrector, Strength
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region
from drht_plugin.model.detail_network import DetailNetwork
from drht_plugin.model.locate import locate
from drht_plugin.vips import correct
from drht_plugin.vips._coding import coding_of
from drht_plugin.vips._render import NetworkTiles, render_lazily

SIDE = 160
Planes = npt.NDArray[np.float32]


class Network:
    """A detail network whose weights matter everywhere."""

    def __init__(self) -> None:
        torch.manual_seed(4)
        self._network = DetailNetwork().eval().requires_grad_(False)
        torch.nn.init.normal_(self._network.project.weight, std=0.02)

    def room(self, shape: tuple[int, ...]) -> Planes:
        return np.empty(shape, np.float32)

    def begin(self, planes: Planes) -> Callable[[], Planes]:
        with torch.inference_mode():
            lacking = self._network(torch.from_numpy(planes).permute(2, 0, 1)[None])
        return lambda: np.ascontiguousarray(lacking[0].permute(1, 2, 0).numpy())


@pytest.fixture(scope="module")
def detailed() -> Corrector:
    made = corrector()
    vars(made).update(detail_runners=(Network(),), has_detail=True)
    return made


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("transfer", ["srgb", "linear"])
def test_equals_arrays(detailed: Corrector, wrap: bool, dtype: str, transfer: str) -> None:
    """The pixels are those of arrays within one 8-bit code, across the seam too, each once."""
    random = np.random.default_rng(2)
    most = int(np.iinfo(dtype).max)
    array = random.integers(0, most // 3, (210, 330, 3)).astype(dtype)
    scene = detailed.survey(array, wrap=wrap, transfer=transfer)
    strength = Strength(highlights=0.5)
    expected = detailed.render(scene, array, strength=strength, detail="network")
    guided = detailed.render(scene, array, strength=strength, detail="guided")
    assert np.abs(expected.astype(int) - guided).max() > most // 100

    image = pyvips.Image.new_from_array(array)
    windows: list[Region] = []
    renderer = NetworkTiles(
        lambda: scene,
        coding_of(image, transfer),
        strength,
        windows.append,
        detailed,
        wrap,
        side=SIDE,
    )
    got = render_lazily(renderer, image).numpy()
    assert np.abs(got.astype(int) - expected).max() <= most // 255
    assert (got == expected).mean() > 0.99
    assert sum(w.height * w.width for w in windows) == 210 * 330
    assert all(w.height <= renderer.tile and w.width <= renderer.tile for w in windows)


def test_model_without_detail_network(tmp_path: Path) -> None:
    """A model without one is refused at once, by name."""
    for suffix in (".safetensors", ".json"):
        shutil.copy(locate("default").with_suffix(suffix), tmp_path / f"mine{suffix}")
    image = pyvips.Image.black(30, 30, bands=3)
    with pytest.raises(InputError, match="no network for detail"):
        correct(image, detail="network", model=tmp_path / "mine.safetensors")
