"""The workers of a cluster: how many there are, and whether they can do the work."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drht_plugin._version import __version__
from drht_plugin.errors import ClusterError, DrhtWarning, InputError, first_line

_LOOK_SECONDS, _NOTE_SECONDS, _PATIENCE_SECONDS = 2, 10, 300
"""How often workers are counted; how long there may be none before that is told, and an error."""


@dataclass
class Cluster:
    """A cluster's client, and how many workers there are.

    Attributes:
        client: of distributed.
        scheduler: as named by the user.
    """

    client: Any
    scheduler: str
    _looked: float = -1e9
    _last: dict[str, int] = field(default_factory=dict)
    _missing_since: float | None = None
    _noted: bool = False

    def threads(self) -> dict[str, int]:
        """Return the threads of each worker, as they were not long ago.

        Raises:
            ClusterError: there has been no worker for long.
        """
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked, self._last = now, self.client.nthreads()
            if self._last:
                self._missing_since, self._noted = None, False
            elif self._missing_since is None:
                self._missing_since = now
        if self._missing_since is not None:
            missing = now - self._missing_since
            if missing > _NOTE_SECONDS and not self._noted:
                self._noted = True
                warnings.warn(
                    f"the scheduler {self.scheduler} has no worker; waiting for one",
                    DrhtWarning,
                    stacklevel=2,
                )
            if missing > _PATIENCE_SECONDS:
                raise ClusterError(
                    f"the scheduler {self.scheduler} has had no worker for {missing:.0f} s"
                )
        return self._last

    def wait_for_worker(self, look_up: Callable[[], object] = lambda: None) -> None:
        """Wait until there is a worker; see `threads`.

        Args:
            look_up: is called again and again meanwhile; what it raises ends the waiting.
        """
        while not self.threads():
            look_up()
            time.sleep(0.1)

    def require_equal(self, paths: Mapping[str, str | Path]) -> None:
        """Check that each worker has this version, and sees files that are seen here.

        Args:
            paths: by the names of what they show.

        Raises:
            InputError: a worker cannot do the work.
        """
        here = {name: absolute(path) for name, path in paths.items() if os.path.exists(path)}
        looked = self.client.run(look, list(here.values()), on_error="return")
        for worker, told in looked.items():
            if isinstance(told, Exception):
                raise InputError(
                    f"worker {worker} cannot run drht {__version__}: {first_line(str(told))}"
                )
            version, there = told
            if version != __version__:
                raise InputError(
                    f"worker {worker} has drht {version}; expected {__version__}, as here"
                )
            for name, is_there in zip(here, there, strict=True):
                if not is_there:
                    raise InputError(
                        f"{name}: is not seen by worker {worker}; all workers must reach the files "
                        "under the same names"
                    )


def absolute(path: str | Path) -> str:
    """Return a path that means the same to processes that work in other folders."""
    return os.path.join(os.getcwd(), path)


def look(paths: Sequence[str]) -> tuple[str, list[bool]]:
    """Return this process's version of the package, and which of some paths it reaches."""
    return __version__, [os.path.exists(path) for path in paths]
