"""Streams of training samples for the detail network, rendered here or in worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from multiprocessing.util import Finalize
from pathlib import Path

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from drht_plugin.bridge.sharing import limit_threads
from drht_plugin.model.runner import Runner
from drht_plugin.training.detail_samples import Sample, Sampler
from drht_plugin.virtual_camera import HdrImage

_AHEAD = 4
"""Views that each worker process renders in advance."""


class SampleStream(IterableDataset[list[Sample]]):
    """Endless stream of the samples of random views, surveyed on the CPU.

    Args:
        scenes: images to take views of.
        model: name of a shipped model or a .safetensors file; its survey is used.
        seed: seed for views and noise; each worker process derives its own from it.
    """

    def __init__(self, scenes: Sequence[HdrImage], model: str | Path, seed: int) -> None:
        self._scenes, self._model, self._seed = scenes, model, seed

    def __iter__(self) -> Iterator[list[Sample]]:
        worker = get_worker_info()
        number = 0
        if worker is not None:
            # At Python's own exit the thread that sends tensors may be stopped inside C++, which
            # aborts the process. The negative priority runs this after everything else.
            Finalize(None, os._exit, args=(0,), exitpriority=-100)
            number = worker.id
        sampler = Sampler(self._scenes, Runner(self._model, "cpu"), self._seed + 7_919 * number)
        with limit_threads(None if worker is None else 1):
            while True:
                yield sampler.draw()


def load_samples(stream: SampleStream, workers: int) -> Iterator[list[Sample]]:
    """Iterate over a stream, in this process or in worker processes.

    Args:
        stream: the samples to render.
        workers: number of worker processes; 0 renders in this process, when a sample is asked for.

    Returns:
        Endless iterator over the samples of one view after another.
    """
    loader = DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_AHEAD if workers else None,
        # Forked processes cannot use CUDA or OpenMP threads.
        multiprocessing_context="spawn" if workers else None,
    )
    return iter(loader)
