"""Pinned memory of the host is given back at the end of a job; a fake stands for CUDA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from drht_plugin import Corrector
from drht_plugin.errors import Cancelled, DeviceError
from drht_plugin.model.device import give_pinned_back


def _stats(idle: int) -> dict[str, int]:
    return {"allocated_bytes.current": idle + 1000, "active_bytes.current": 1000}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A process that uses CUDA: a number for each time that pinned memory is given back."""
    calls: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "host_memory_stats", lambda: _stats(2 << 30))
    monkeypatch.setattr(
        torch.accelerator, "empty_host_cache", lambda: calls.append(1), raising=False
    )
    return calls


IMAGE = np.random.default_rng(2).integers(0, 256, (300, 200, 3), np.uint8)


class Source:
    """Rows of a picture; those from one on raise an error."""

    shape, dtype = IMAGE.shape, IMAGE.dtype

    def __init__(self, error: Exception | None = None, from_row: int = 0) -> None:
        self.error, self.from_row = error, from_row

    def __getitem__(self, rows: slice) -> Any:
        if self.error is not None and rows.stop > self.from_row:
            raise self.error
        return IMAGE[rows]


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("detail", ["guided", "network"])
def test_once_a_job(backend: str, detail: str, given: list[int]) -> None:
    """Many tiles and bands are one job."""
    corrector = Corrector(device="cpu", backend=backend)
    scene = corrector.survey(IMAGE)
    assert given == []
    memory = "40M" if detail == "network" else 100_000
    corrector.render_into(scene, Source(), np.empty_like(IMAGE), detail=detail, memory=memory)
    assert given == [1]
    corrector.render(scene, IMAGE, detail=detail)
    assert given == [1, 1]
    corrector.render_hdr(scene, IMAGE)
    assert given == [1, 1, 1]


@pytest.mark.parametrize("error", [Cancelled("stop"), OSError("broken"), MemoryError()])
def test_after_errors(error: Exception, given: list[int]) -> None:
    """A job that fails or is cancelled in its midst gives back too, once."""
    corrector = Corrector(device="cpu", backend="torch")
    scene = corrector.survey(IMAGE)
    failing = Source(error, from_row=200)
    with pytest.raises(type(error)):
        corrector.render_into(scene, failing, np.empty_like(IMAGE), memory=100_000)
    assert given == [1]

    def cancel(share: float) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        corrector.render_into(scene, Source(), np.empty_like(IMAGE), progress=cancel)
    assert given == [1, 1]


def test_a_lost_device_is_named(given: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing can be given back, as the device is lost, the error is the job's."""

    def lose() -> None:
        given.append(1)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.accelerator, "empty_host_cache", lose)
    corrector = Corrector(device="cpu", backend="torch")
    scene = corrector.survey(IMAGE)
    lost = RuntimeError("CUDA error: unspecified launch failure")
    with pytest.raises(DeviceError, match="unspecified launch failure"):
        corrector.render_into(scene, Source(lost), np.empty_like(IMAGE))
    assert given == [1]


def test_nothing_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not use CUDA asks for nothing, and starts no CUDA."""
    calls: list[int] = []
    monkeypatch.setattr(
        torch.accelerator, "empty_host_cache", lambda: calls.append(1), raising=False
    )
    Corrector(device="cpu").correct(IMAGE)
    assert calls == []
    assert not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]


def test_by_the_name_of_the_version(given: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions that lack the function use the one before it; those that have neither do nothing."""
    monkeypatch.delattr(torch.accelerator, "empty_host_cache")
    give_pinned_back()
    assert given == []
    monkeypatch.setattr(torch._C, "_host_emptyCache", lambda: given.append(2), raising=False)
    give_pinned_back()
    assert given == [2]


def test_a_photograph_s_is_kept(given: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Little pinned memory is kept for the next picture; where PyTorch does not say, none is."""
    corrector = Corrector(device="cpu", backend="torch")
    monkeypatch.setattr(torch.cuda, "host_memory_stats", lambda: _stats(512 << 20))
    corrector.correct(IMAGE)
    assert given == []
    monkeypatch.setattr(torch.cuda, "host_memory_stats", dict)
    corrector.correct(IMAGE)
    assert given == [1]
