"""Pictures for the detail network, one view after another: in this process or by others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from drht_plugin.model.runner import Runner
from drht_plugin.training.detail_samples import Sample, Sampler
from drht_plugin.virtual_camera import HdrImage

_AHEAD = 4
"""Views that each process draws ahead."""


class Draws(IterableDataset[list[Sample]]):
    """Views without end, surveyed by `model` on the CPU; each process has a seed of its own."""

    def __init__(self, scenes: Sequence[HdrImage], model: str | Path, seed: int) -> None:
        self._scenes, self._model, self._seed = scenes, model, seed

    def __iter__(self) -> Iterator[list[Sample]]:
        worker = get_worker_info()
        number = 0
        if worker is not None:
            import numba

            numba.set_num_threads(1)
            number = worker.id
        sampler = Sampler(self._scenes, Runner(self._model, "cpu"), self._seed + 7_919 * number)
        while True:
            yield sampler.draw()


def drawn(draws: Draws, workers: int) -> Iterator[list[Sample]]:
    """The views of `draws`, by so many processes; by this one where `workers` is 0."""
    loader = DataLoader(
        draws,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_AHEAD if workers else None,
        # Processes that are forked have neither CUDA nor OpenMP's threads.
        multiprocessing_context="spawn" if workers else None,
    )
    return iter(loader)
