"""The detail network on a device: tiles that are begun and waited for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from drht_plugin.bridge.sizes import CELL, PLANES
from drht_plugin.model.detail_network import DetailNetwork, DetailRunner
from drht_plugin.model.locate import detail_of
from drht_plugin.model.weights import DETAIL_ARCHITECTURE, save_model

SHAPE = 24, 16, PLANES * CELL * CELL


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose detail network has weights that matter everywhere."""
    path = tmp_path_factory.mktemp("model") / "some.safetensors"
    path.touch()
    torch.manual_seed(2)
    network = DetailNetwork()
    torch.nn.init.normal_(network.project.weight, std=0.02)
    save_model(network, detail_of(path), {}, DETAIL_ARCHITECTURE)
    return path


def _filled(runner: DetailRunner, seed: int) -> npt.NDArray[np.float32]:
    planes = runner.room(SHAPE)
    planes[...] = np.random.default_rng(seed).random(SHAPE, np.float32)
    return planes


def test_tiles_are_begun_before_any_is_waited_for(model: Path) -> None:
    """Each tile gets its own result, whichever is waited for first."""
    runner = DetailRunner(model, "cpu")
    alone = [runner.begin(_filled(runner, seed))().copy() for seed in range(3)]
    begun = [runner.begin(_filled(runner, seed)) for seed in range(3)]
    for seed in (1, 2, 0):
        assert begun[seed]().shape == (24, 16, 12)
        assert np.array_equal(begun[seed](), alone[seed])
    assert not np.array_equal(alone[0], alone[1])


def test_without_pinned_memory_the_rest_goes_on(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device whose system gives no pinned memory works from ordinary memory."""
    runner = DetailRunner(model, "cpu")
    expected = runner.begin(_filled(runner, 1))()
    empty = torch.empty

    def none(*arguments: object, pin_memory: bool = False, **named: object) -> torch.Tensor:
        if pin_memory:
            raise RuntimeError("no memory that is pinned")
        return empty(*arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(torch, "empty", none)
    monkeypatch.setattr(runner, "_queued", True)
    assert np.array_equal(runner.begin(_filled(runner, 1))(), expected)


def test_room_is_float32_whatever_the_program_likes(model: Path) -> None:
    """Another default dtype of torch does not change what planes are made of."""
    before = torch.get_default_dtype()
    runner = DetailRunner(model, "cpu")
    torch.set_default_dtype(torch.float64)
    try:
        assert runner.room(SHAPE).dtype == np.float32
    finally:
        torch.set_default_dtype(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_what_the_cpu_gives(model: Path) -> None:
    """Two tiles in flight on CUDA come back as the CPU has them, to bfloat16's rounding."""
    cpu, cuda = DetailRunner(model, "cpu"), DetailRunner(model, "cuda")
    begun = [cuda.begin(_filled(cuda, seed)) for seed in (1, 2)]
    for seed, wait in zip((1, 2), begun, strict=True):
        expected = cpu.begin(_filled(cpu, seed))()
        assert np.abs(wait() - expected).max() < 0.02 * np.abs(expected).max()
