"""The learned smoother: its network, its weights and its training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from drht_plugin.errors import WeightsError
from drht_plugin.evaluation.methods import djf
from drht_plugin.virtual_camera import HdrImage


def step() -> NDArray[np.float32]:
    plane = np.full((64, 96), 0.3, np.float32)
    plane[:, 48:] = 0.7
    return plane


def texture() -> NDArray[np.float32]:
    return np.random.default_rng(4).uniform(-0.04, 0.04, (64, 96)).astype(np.float32)


def test_network_is_the_paper_s() -> None:
    """Kernels 9, 1, 5 with 96 and 48 features, and 64 and 32 where the branches join."""
    weights = djf.initial(1)
    shapes = {name: tuple(w.shape) for name, w in weights.items() if name.endswith("weight")}
    branch = [(96, 1, 9, 9), (48, 96, 1, 1), (1, 48, 5, 5)]
    assert [shapes[f"target.{i}.weight"] for i in range(3)] == branch
    assert [shapes[f"guide.{i}.weight"] for i in range(3)] == branch
    joint = [(64, 2, 9, 9), (32, 64, 1, 1), (1, 32, 5, 5)]
    assert [shapes[f"joint.{i}.weight"] for i in range(3)] == joint


def test_shipped_weights() -> None:
    """They are a small half-precision safetensors file that holds this network."""
    assert djf.WEIGHTS.stat().st_size < 1_000_000
    with safe_open(djf.WEIGHTS, "pt") as store:
        assert {store.get_tensor(name).dtype for name in djf.initial(1)} == {torch.float16}
        assert {"network", "data", "steps", "seed"} <= set(store.metadata())
    assert set(djf.shipped()) == set(djf.initial(1))


def test_smooths_texture_and_keeps_edges() -> None:
    """Texture loses half of its strength, and a step keeps its contrast and place."""
    plane, noise = step(), texture()
    smoothed = djf.smooth(plane + noise)
    inside = np.s_[12:52, 12:36]
    assert smoothed[inside].std() < 0.5 * noise[inside].std()
    assert smoothed[12:52, 60:84].mean() - smoothed[inside].mean() == pytest.approx(0.4, abs=0.06)
    rise = smoothed[12:52, 50:54].mean() - smoothed[12:52, 42:46].mean()
    assert rise > 0.7 * 0.4


@pytest.mark.parametrize("damage", ["missing", "no safetensors", "another network"])
def test_damaged_weights(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are missing, damaged or another network's are named in the error."""
    from safetensors.torch import save_file

    file = tmp_path / "weights.safetensors"
    if damage == "no safetensors":
        file.write_bytes(b"something else")
    elif damage == "another network":
        save_file({"w": torch.zeros(1)}, file)
    monkeypatch.setattr(djf, "WEIGHTS", file)
    djf.shipped.cache_clear()
    try:
        with pytest.raises(WeightsError, match=r"weights\.safetensors"):
            djf.shipped()
    finally:
        djf.shipped.cache_clear()


def test_training_learns() -> None:
    """A few steps on a scene of noise bring the error below that of untrained weights."""
    generator = torch.Generator().manual_seed(2)
    radiance = torch.rand(4, 192, 192, generator=generator)
    radiance[3] = 0
    scene = HdrImage("noise", radiance.half(), panorama=False)
    trained = djf.train([scene], steps=6, views=3)
    guide = torch.from_numpy(step() + texture())[None, None]
    truth = torch.from_numpy(step())[None, None]

    def error(weights: djf.Weights) -> float:
        result = djf.joint_filter(weights, djf.reduced(guide), guide)
        return float((result - truth).square().mean())

    assert error(trained) < 0.7 * error(djf.initial(1))
