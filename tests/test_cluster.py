"""The cluster that --scheduler names: its address, its processes, and what becomes of its loss."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from clusters import scheduler

from drht_plugin.bridge.sharing import usable_cores
from drht_plugin.cli.options import add_scheduler_option
from drht_plugin.dask import at_work, cluster, workers
from drht_plugin.errors import Cancelled, ClusterError, DrhtWarning, InputError

pytest.importorskip("distributed", reason="distributed is not installed")


def test_addresses() -> None:
    """An address is a scheduler's, or a number of processes; all else is refused with both."""
    assert cluster.local_processes("local:1") == 1
    assert cluster.local_processes("local:256") == 256
    for address in ("tcp://10.0.0.1:8786", "tls://[::1]:8786", "name.of.host:8786"):
        assert cluster.local_processes(address) is None
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_scheduler_option(parser)
    for wrong in ("", "local", "local:0", "local:257", "local:-1", "local:2x", "tcp://", "tcp://a"):
        with pytest.raises(InputError, match=r"tcp://HOST:PORT, or local:N"):
            cluster.local_processes(wrong)
        with pytest.raises(argparse.ArgumentError, match=r"tcp://HOST:PORT, or local:N"):
            parser.parse_args([f"--scheduler={wrong}"])
    assert parser.parse_args(["--scheduler", "local:2"]).scheduler == "local:2"


def test_where_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names without a scheduler are an argument's error, and so are unknown kinds of address."""
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1)
    for address, words in (
        ("tcp://127.0.0.1:9", r"no scheduler answers at tcp://127\.0\.0\.1:9 .*expected tcp://"),
        ("http://127.0.0.1:9", r"unknown address scheme 'http'.*expected tcp://"),
    ):
        with pytest.raises(InputError, match=words), cluster.open_client(address):
            raise AssertionError("there is no scheduler")


def test_another_server_is_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where something listens that says nothing, or nothing of dask, is refused."""
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match=f"no scheduler answers at {address}"):
            cluster.open_client(address).__enter__()
        silent.accept()[0].close()

        def answer() -> None:
            with silent.accept()[0] as connection:
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(InputError, match=rf"{address} \(what answers there is no scheduler"):
            cluster.open_client(address).__enter__()


def test_processes_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """`local:N` is N patient processes that share the cores, and its client the default one."""
    from distributed import get_client

    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)

    with cluster.open_client("local:2") as client:
        assert get_client() is client
        processes = set(client.run(os.getpid).values())
        assert len(processes) == 2
        assert set(client.run(os.getenv, "OMP_WAIT_POLICY").values()) == {"PASSIVE"}
        assert os.getpid() not in processes
        threads = set(client.nthreads().values())
        assert threads == {max(1, usable_cores() // 2)}
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_ctrl_c_while_processes_start(capfd: pytest.CaptureFixture[str]) -> None:
    """It ends them as soon as they are there, without a word of theirs."""
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), cluster.open_client("local:1"):
        raise AssertionError("the signal came before")
    assert capfd.readouterr().err == ""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_lost_scheduler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that dies ends the work in one error of this package, and soon."""
    with scheduler(tmp_path) as (address, process):
        with cluster.open_client(address) as client:
            monkeypatch.setattr(client, "_timeout", 1)
            begun = time.monotonic()
            waiting = client.submit(os.getpid)  # no worker is there
            process.kill()
            with (
                pytest.raises(ClusterError, match=rf"{address} is gone"),
                cluster.named_losses(address, client),
            ):
                waiting.result(timeout=60)
        assert time.monotonic() - begun < 30


def test_other_errors_stay_as_they_are(tmp_path: Path) -> None:
    """What a task raises reaches the caller."""
    with pytest.raises(ZeroDivisionError), cluster.open_client("local:1") as client:
        client.submit(divmod, 1, 0).result(timeout=60)


def test_waiting_for_a_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler without workers is told of once, and is an error at last."""
    for name, value in (("_LOOK_SECONDS", 0), ("_NOTE_SECONDS", 0.1), ("_PATIENCE_SECONDS", 0.4)):
        monkeypatch.setattr(workers, name, value)
    none = workers.Cluster(argparse.Namespace(nthreads=dict), "tcp://s")
    with (
        pytest.warns(DrhtWarning, match="waiting for one") as told,
        pytest.raises(ClusterError, match="tcp://s has had no worker"),
    ):
        none.wait_for_worker()
    assert len(told) == 1


def test_a_worker_that_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work of a job is refused by another version, and by none once the job was stopped."""
    job = at_work.new_job()
    with at_work.at_work(job):
        pass
    monkeypatch.setattr(at_work, "__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r"has drht 0\.0\.1; expected"), at_work.at_work(job):
        raise AssertionError("it is not begun")
    monkeypatch.undo()
    asyncio.run(at_work._stop(job))
    with pytest.raises(Cancelled), at_work.at_work(job):
        raise AssertionError("it is not begun")
