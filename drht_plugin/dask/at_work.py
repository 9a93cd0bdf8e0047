"""What a worker's process works on, by jobs, so that a job can be stopped and waited for."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from drht_plugin._version import __version__
from drht_plugin.errors import Cancelled, ClusterError

_STOP_SECONDS = 30
"""For how long a worker that is to stop waits for what it has begun."""

_stopped: set[str] = set()
_busy: Counter[str] = Counter()
_counting = threading.Lock()


def new_job() -> str:
    """Return the name of a new job; it says which version of this package does it."""
    return f"{__version__}/{secrets.token_hex(16)}"


@contextmanager
def at_work(job: str) -> Iterator[None]:
    """Count the body as work on a job.

    Args:
        job: see `new_job`.

    Raises:
        Cancelled: the job was stopped; the body is not run.
        ClusterError: this process has another version: a worker that came after the job began.
    """
    version = job.partition("/")[0]
    if version != __version__:
        raise ClusterError(
            f"a worker on {socket.gethostname()} has drht {__version__}; expected {version}"
        )
    with _counting:
        _busy[job] += 1
    try:
        require_going(job)
        yield
    finally:
        with _counting:
            _busy[job] -= 1


def require_going(job: str) -> None:
    """Check that a job goes on.

    Raises:
        Cancelled: it was stopped.
    """
    if job in _stopped:
        raise Cancelled("the job was stopped")


async def _stop(job: str) -> None:
    """Begin with nothing more of a job in this process, and wait until none is worked on."""
    _stopped.add(job)
    for _ in range(_STOP_SECONDS * 20):
        if not _busy[job]:
            break
        await asyncio.sleep(0.05)


def stop(client: Any, job: str) -> None:
    """Stop a job on all workers, and wait for what they have begun; never fails.

    Args:
        client: of distributed, which may have lost its scheduler.
        job: see `at_work`.
    """
    if client.status != "running":
        return
    with suppress(Exception):  # of a cluster that is gone, and has given the job up itself
        client.run(_stop, job, on_error="ignore")
