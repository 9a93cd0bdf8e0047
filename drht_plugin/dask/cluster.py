"""Reach the cluster that a command line names: a scheduler, or processes of this machine."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import signal
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from drht_plugin.bridge.sharing import usable_cores
from drht_plugin.errors import ClusterError, DrhtError, InputError, first_line
from drht_plugin.extras import import_extra
from drht_plugin.patience import PATIENT

if TYPE_CHECKING:
    from distributed import Client

ACCEPTED = "expected tcp://HOST:PORT, or local:N for N processes of this machine, 1 to 256"

_CONNECT_SECONDS = 10
"""For how long a scheduler may leave unanswered, at first and when its connection breaks."""


def local_processes(scheduler: str) -> int | None:
    """Return the N of `local:N`; None for a scheduler's address.

    Args:
        scheduler: "local:N", or an address of distributed such as "tcp://HOST:PORT".

    Raises:
        InputError: it is neither.
    """
    name, _, rest = scheduler.partition(":")
    if name == "local":
        if re.fullmatch(r"[1-9][0-9]{0,2}", rest) and int(rest) <= 256:
            return int(rest)
    elif re.fullmatch(r"(?:[a-z]+://)?[^\s/]+:[0-9]+", scheduler):
        return None
    raise InputError(f"the scheduler is {scheduler!r}; {ACCEPTED}")


@contextmanager
def open_client(scheduler: str) -> Iterator[Client]:
    """Connect to a scheduler, or start one with processes of this machine; the default client.

    The workers of `local:N` share the cores, with a thread for each core that they have. They and
    the scheduler end with the body. What distributed logs here is held back, as errors tell it.

    Args:
        scheduler: see `local_processes`.

    Yields:
        The client of distributed.

    Raises:
        InputError: the scheduler is neither, or does not answer.
        ClusterError: the connection was lost during the body, or a task's workers died, each time
            that it was tried.
        DependencyError: distributed is not installed.
    """
    processes = local_processes(scheduler)
    distributed = import_extra("distributed", "dask", "clusters")
    with ExitStack() as opened:
        opened.enter_context(_quiet())
        where: Any = scheduler
        if processes is None:
            _require_answer(scheduler)
        else:
            with _signals_held(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Creating scratch directories is taking")
                where = opened.enter_context(
                    distributed.LocalCluster(
                        n_workers=processes,
                        threads_per_worker=max(1, usable_cores() // processes),
                        dashboard_address="127.0.0.1:0",  # or it takes a known port, for all to see
                        scheduler_kwargs={"dashboard": False},
                        silence_logs=logging.CRITICAL,
                        env=PATIENT,
                    )
                )
        try:
            client = opened.enter_context(distributed.Client(where, timeout=_CONNECT_SECONDS))
        except Exception as error:
            raise _unanswered(scheduler, error) from error
        with named_losses(scheduler, client):
            yield client


def _require_answer(scheduler: str) -> None:
    """Refuse an address where nothing speaks distributed's protocol.

    Its client would wait for ever for the answer of another server, and complain later of an
    address of an unknown kind.
    """
    try:
        asyncio.run(asyncio.wait_for(_greet(scheduler), _CONNECT_SECONDS))
    except Exception as error:
        raise _unanswered(scheduler, _reason(error)) from error


def _reason(error: Exception) -> object:
    """Say why nothing was reached; what is no OSError came from bytes of another protocol."""
    if isinstance(error, TimeoutError) and not str(error):
        return "it does not answer in time"
    spoken = isinstance(error, (MemoryError, OverflowError, struct.error))
    return "what answers there is no scheduler of dask" if spoken else error


async def _greet(address: str) -> None:
    distributed: Any = importlib.import_module("distributed")  # which is not typed
    options = distributed.Security().get_connection_args("client")
    connect = distributed.comm.core.connect
    comm = await connect(address, timeout=_CONNECT_SECONDS, **options)
    await comm.close()


def _unanswered(scheduler: str, reason: object) -> InputError:
    return InputError(
        f"no scheduler answers at {scheduler} ({first_line(str(reason))}); {ACCEPTED}"
    )


@contextmanager
def named_losses(scheduler: str, client: Client) -> Iterator[None]:
    """Raise what a lost scheduler or worker comes to as an error of this package.

    Args:
        scheduler: its address, for messages.
        client: connected to it.

    Raises:
        ClusterError: the connection was lost, or a task's workers died, each time that it was
            tried.
    """
    from asyncio import CancelledError as Abandoned
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        yield
    except DrhtError:
        raise
    except KilledWorker as error:
        raise ClusterError(
            f"{error.allowed_failures + 1} workers died, one after the other, of the same task"
        ) from error
    except (Abandoned, CancelledError, CommClosedError) as error:
        raise lost(scheduler, first_line(str(error))) from error
    except Exception as error:
        if client.status == "running":
            raise
        raise lost(scheduler, first_line(str(error))) from error


def lost(scheduler: str, reason: str) -> ClusterError:
    """Return the error that says that a scheduler is gone."""
    return ClusterError(f"the scheduler {scheduler} is gone, with what it had to do ({reason})")


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back, until the body ends, signals that a terminal sends to all processes of a command.

    Threads and processes that the body starts hold them back for ever, and so do those that they
    start. So it is this process alone that Ctrl-C ends, and it ends the others.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # the thread that starts it lets signals through afterwards
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    came: list[int] = []
    # Threads from before take them, so that the mask alone does not hold them back.
    handlers = {each: signal.getsignal(each) for each in held}
    ours = [each for each in held if callable(handlers[each])]
    for each in ours:
        signal.signal(each, lambda number, _: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each in ours:
            signal.signal(each, handlers[each])
        for number in came[:1]:
            signal.raise_signal(number)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what distributed's own handlers print, of all its loggers."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    handlers = {
        handler
        for logger in loggers
        if logger.name.partition(".")[0] == "distributed"
        for handler in logger.handlers
    }
    before = {handler: handler.level for handler in handlers}
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in before.items():
            handler.setLevel(level)
