"""Network detail through the public calls, with a model whose detail network is random."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import picture

from drht_plugin import Corrector, InputError, WeightsError
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.render.network.network_bands import fitting_tile
from drht_plugin.model.detail_network import DetailNetwork
from drht_plugin.model.locate import locate
from drht_plugin.model.weights import DETAIL_ARCHITECTURE, save_model


def _copy_default(folder: Path) -> Path:
    """The shipped survey networks under another name, without a detail network."""
    source, target = locate("default"), folder / "mine.safetensors"
    shutil.copy(source, target)
    shutil.copy(source.with_suffix(".json"), target.with_suffix(".json"))
    return target


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = _copy_default(tmp_path_factory.mktemp("model"))
    torch.manual_seed(3)
    network = DetailNetwork()
    torch.nn.init.normal_(network.project.weight, std=0.02)
    facts = {"seed": 3}
    path = target.with_name("mine-detail.safetensors")
    save_model(network, path, facts, DETAIL_ARCHITECTURE)
    return target


@pytest.fixture(scope="module")
def corrector(model: Path) -> Corrector:
    return Corrector(model=model, device="cpu")


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return int(np.abs(a.astype(int) - b).max()) <= 1


@pytest.mark.parametrize("wrap", [False, True])
def test_correct_and_stream_agree(corrector: Corrector, wrap: bool) -> None:
    """Arrays and streams give the same picture in network detail, whatever the tile."""
    image = picture(300, 410, 3, "uint8")
    whole = corrector.correct(image, detail="network", wrap=wrap)
    tiled = corrector.correct(image, detail="network", wrap=wrap, tile=160)
    assert _close(whole, tiled)
    sink = np.zeros_like(image)
    corrector.stream(image, sink, detail="network", wrap=wrap, tile=160)
    assert _close(whole, sink)
    guided = corrector.correct(image, detail="guided", wrap=wrap)
    assert (guided != whole).any()


@pytest.mark.parametrize("shift", [3, 111])
def test_a_turned_panorama_comes_out_turned(corrector: Corrector, shift: int) -> None:
    """In network detail too, a shifted panorama gives the shifted result."""
    image = picture(200, 310, 3, "uint8")
    straight = corrector.correct(image, detail="network", wrap=True, tile=160)
    turned = corrector.correct(np.roll(image, shift, 1), detail="network", wrap=True, tile=160)
    assert (np.roll(straight, shift, 1) == turned).all()


@pytest.mark.parametrize("dtype", ["uint16", "float16", "float32"])
@pytest.mark.parametrize("channels", [None, 1, 2, 4])
def test_kinds_are_kept(corrector: Corrector, dtype: str, channels: int | None) -> None:
    """Shape, type and alpha are kept; strength 0 gives the input back."""
    image = picture(90, 70, channels, dtype)
    result = corrector.correct(image, detail="network")
    assert result.shape == image.shape
    assert result.dtype == image.dtype
    if channels in (2, 4):
        assert np.array_equal(result[..., -1], image[..., -1])
    assert np.array_equal(corrector.correct(image, detail="network", strength=0), image)


def test_sixteen_bits_are_real(corrector: Corrector) -> None:
    """A 16-bit ramp comes out with far more than 256 levels."""
    ramp = np.linspace(0, 20000, 512 * 96).reshape(96, 512).astype(np.uint16)
    assert len(np.unique(corrector.correct(ramp, detail="network"))) > 5000


def test_a_model_without_it_says_so(tmp_path: Path) -> None:
    """Without a detail network, "network" is refused by name and "auto" is guided."""
    corrector = Corrector(model=_copy_default(tmp_path), device="cpu")
    image = picture(60, 60, 3, "uint8") // 16
    with pytest.raises(InputError, match="mine-detail"):
        corrector.correct(image, detail="network")
    auto = corrector.correct(image, detail="auto")
    assert np.array_equal(auto, corrector.correct(image, detail="guided"))


def test_damaged_detail_weights_are_refused(model: Path, tmp_path: Path) -> None:
    """A flipped byte in the detail network's file is named."""
    for file in model.parent.iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / "mine-detail.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    corrector = Corrector(model=tmp_path / "mine.safetensors", device="cpu")
    with pytest.raises(WeightsError, match="mine-detail"):
        corrector.correct(picture(60, 60, 3, "uint8"), detail="network")


@pytest.mark.parametrize("tile", [0, -5, 100, 12.5, True])
def test_impossible_tiles_are_refused(corrector: Corrector, tile: int) -> None:
    """A tile without room for its halo is refused before any work."""
    with pytest.raises(InputError, match="tile"):
        corrector.correct(picture(60, 60, 3, "uint8"), detail="network", tile=tile)


def test_memory_sets_the_tile() -> None:
    """Wide images and little memory give smaller tiles, down to a clear refusal."""
    narrow, wide = (spec_of(np.broadcast_to(np.uint8(0), (20000, n, 3))) for n in (4000, 60000))
    assert fitting_tile(narrow, None) == 1024
    assert 256 <= fitting_tile(wide, None) < 1024
    assert fitting_tile(wide, "4G") == 1024
    with pytest.raises(InputError, match="memory"):
        fitting_tile(wide, "20M")


def test_auto_is_guided(corrector: Corrector) -> None:
    """Guided detail is what "auto" takes, with a detail network at hand too."""
    image = picture(60, 90, 3, "uint8") // 12
    auto = corrector.correct(image)
    assert np.array_equal(auto, corrector.correct(image, detail="guided"))
    assert (auto != corrector.correct(image, detail="network")).any()


def test_partial_strength_lies_between(corrector: Corrector) -> None:
    """Half of the strength moves every part of a picture less than all of it, and by something."""
    image = picture(96, 128, 3, "uint8", span=(0.0, 0.5))
    half, full = (
        corrector.correct(image, detail="network", strength=strength).astype(int)
        for strength in (0.5, 1.0)
    )
    moved, wanted = (np.abs(result - image).mean() for result in (half, full))
    assert 0.2 * wanted < moved < 0.8 * wanted
    unlit = corrector.correct(image, detail="network", shadows=0.0).astype(int)
    assert np.abs(unlit - image).mean() < 0.2 * wanted


def test_the_digest_tells_models_apart_by_their_detail_networks(
    model: Path, tmp_path: Path
) -> None:
    """Two models with the same survey networks and other detail networks have other digests."""
    other = _copy_default(tmp_path)
    without = Corrector(model=other, device="cpu").model_digest()
    torch.manual_seed(4)
    path = other.with_name("mine-detail.safetensors")
    save_model(DetailNetwork(), path, {}, DETAIL_ARCHITECTURE)
    digests = {Corrector(model=m, device="cpu").model_digest() for m in (model, other)}
    assert len(digests | {without}) == 3
