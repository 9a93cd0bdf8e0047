"""What the workers of a cluster do for `drht correct`: these functions run in their processes."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from drht_plugin.cli.batch import BUDGET, keep_notes_by_thread, kept_notes
from drht_plugin.cli.faults import Fault
from drht_plugin.cli.outputs import Job
from drht_plugin.cli.work import Work, cost_of
from drht_plugin.dask.at_work import at_work, require_going
from drht_plugin.errors import DrhtWarning
from drht_plugin.patience import be_patient

if TYPE_CHECKING:
    from drht_plugin.engine.corrector import Corrector
    from drht_plugin.file_correction import FileReport


@dataclass(frozen=True)
class Networks:
    """Which networks a worker loads, and where it runs them.

    Attributes:
        model, device, backend: see `Corrector`.
        threads: of the kernels, for each picture.
        detail: what they are for, see `drht_plugin.correct`.
        pixels: that a worker will be given, about.
    """

    model: str
    device: str
    backend: str
    threads: int
    detail: str
    pixels: int


@dataclass(frozen=True)
class Done:
    """What became of a picture on a worker; see `batch.Outcome`."""

    report: FileReport | None = None
    fault: Fault | None = None
    notes: tuple[str, ...] = ()


def correct_picture(batch: str, work: Work, networks: Networks, job: Job) -> Done:
    """Correct a picture in this process; errors are returned.

    Args:
        batch: which batch it is of; see `at_work`.
        work: what is done with it.
        networks: loaded once in the process.
        job: the picture, with absolute paths.
    """

    def check(_: object) -> None:
        require_going(batch)

    _keep_notes()
    with at_work(batch), kept_notes() as notes:
        try:
            with _room.taken(cost_of(job)):
                report = work.correct(job, loaded(networks), progress=check, stage=check)
        except Exception as error:
            return Done(fault=Fault.of(error), notes=tuple(notes))
        return Done(report, notes=tuple(notes))


def has_detail(networks: Networks) -> bool:
    """Load the networks; return whether there is one for network detail.

    Raises:
        InputError, WeightsError, DeviceError: they cannot be used here.
    """
    return loaded(networks).has_detail


def loaded(networks: Networks) -> Corrector:
    """Return this process's corrector with its networks, which are loaded once."""
    with _loading:
        return _load(networks)


@lru_cache(maxsize=2)
def _load(networks: Networks) -> Corrector:
    from drht_plugin.engine.weigh import shared_correctors

    be_patient()  # PyTorch is loaded now or never
    correctors = shared_correctors(
        networks.model, networks.device, networks.threads, networks.backend
    )
    corrector = correctors.for_work(networks.pixels, networks.detail)
    _ = corrector.runner
    if networks.detail == "network":
        _ = corrector.detail_runners
    return corrector


class Room:
    """Bytes that the pictures of a process may take at once.

    Args:
        budget: a picture that takes more is worked on alone.
    """

    def __init__(self, budget: int) -> None:
        self._budget, self._taken = budget, 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, cost: int) -> Iterator[None]:
        """Wait until there is room for `cost` bytes, and take it for the body."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + cost <= self._budget)
            self._taken += cost
        try:
            yield
        finally:
            with self._changed:
                self._taken -= cost
                self._changed.notify_all()


_room = Room(BUDGET)
_loading = threading.Lock()


@cache
def _keep_notes() -> None:
    """Keep warnings by thread in this process, the same one any number of times."""
    warnings.simplefilter("always", DrhtWarning)
    keep_notes_by_thread()
