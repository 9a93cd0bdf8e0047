"""Giants on clusters of real processes, some of which are killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clusters import blocks, cluster, level
from strategies import Image, picture

import drht_plugin
from drht_plugin.errors import ClusterError, InputError, WriteError

zarr = pytest.importorskip("zarr", reason="zarr is not installed")
distributed = pytest.importorskip("distributed", reason="distributed is not installed")

from drht_plugin.dask import correct_store  # noqa: E402
from drht_plugin.dask.cluster import open_client  # noqa: E402
from drht_plugin.dask.giants.address import Address  # noqa: E402
from drht_plugin.dask.giants.place import Place, open_place  # noqa: E402

HOW: dict[str, Any] = {"device": "cpu", "block": 128}


@pytest.fixture
def image() -> Image:
    return picture(1500, 1400, 3, "uint8")


@pytest.fixture
def source(image: Image, tmp_path: Path) -> Path:
    zarr.create_array(tmp_path / "in.zarr", data=image, chunks=(128, 128, 3))
    return tmp_path / "in.zarr"


@contextmanager
def once(happens: Callable[[], bool], then: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread once something has happened, while the body runs."""

    def watch() -> None:
        end = time.monotonic() + 120
        while not happens() and time.monotonic() < end:
            time.sleep(0.005)
        then()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_a_worker_that_is_killed_costs_nothing(image: Image, source: Path, tmp_path: Path) -> None:
    """A worker is killed in mid job; the job ends with the same bits, and leaves nothing else."""
    target = tmp_path / "out.zarr"
    with open_client("local:2") as client:
        first, *_ = client.run(os.getpid).values()
        with once(lambda: blocks(target) > 4, lambda: os.kill(first, signal.SIGKILL)):
            report = correct_store(source, target, client=client, **HOW)
        assert first not in client.run(os.getpid).values()
    assert report.blocks == 12 * 11
    assert np.array_equal(level(target), drht_plugin.correct(image, device="cpu"))
    assert sorted(os.listdir(tmp_path)) == ["in.zarr", "out.zarr"]


def test_a_scheduler_that_is_killed(image: Image, source: Path, tmp_path: Path) -> None:
    """A lost scheduler is an error of this package; the next run goes on from what is there."""
    target = tmp_path / "out.zarr"
    with cluster(tmp_path) as (address, scheduler):
        with (
            pytest.raises(ClusterError, match=r"scheduler tcp.* is gone") as raised,
            open_client(address) as client,
            once(lambda: blocks(target) > 4, scheduler.kill),
        ):
            correct_store(source, target, client=client, resume=True, **HOW)
        assert any("repeat the same call" in note for note in raised.value.__notes__)
    before = blocks(target)
    assert before > 4
    report = correct_store(source, target, resume=True, **HOW)
    assert before <= report.kept < report.blocks
    assert np.array_equal(level(target), drht_plugin.correct(image, device="cpu"))


def test_codecs_have_the_threads_of_their_worker(source: Path, tmp_path: Path) -> None:
    """A worker process of one thread decodes and encodes on one."""

    def codec_threads() -> int:  # pickled whole, as workers have no tests
        return sum(thread.name.startswith("zarr_pool") for thread in threading.enumerate())

    with cluster(tmp_path) as (address, _), open_client(address) as client:
        correct_store(source, tmp_path / "out.zarr", client=client, **HOW)
        assert list(client.run(codec_threads).values()) == [1, 1]


def test_no_pixels_pass_the_scheduler(source: Path, tmp_path: Path) -> None:
    """Tasks give back sums and names: fewer bytes than a hundredth of the picture's pixels."""
    import pickle

    from drht_plugin.dask.giants import tasks, workforce

    sizes: list[int] = []
    plain = workforce.Workforce.do

    def do(self: Any, task: Any, items: Any) -> Any:
        for result in plain(self, task, items):
            if not isinstance(result, tasks.Sums):
                sizes.append(len(pickle.dumps(result)))
            yield result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workforce.Workforce, "do", do)
        correct_store(source, tmp_path / "out.zarr", **HOW)
    assert sum(sizes) < 1500 * 1400 * 3 / 100


def test_a_signal_ends_what_workers_have_begun(image: Image, source: Path, tmp_path: Path) -> None:
    """A command that is stopped leaves nothing, then or later, and says no more than that."""
    command = [sys.executable, "-m", "drht_plugin.cli", "correct", "in.zarr", "-o", "out.zarr"]
    (tmp_path / "cluster").mkdir()
    with cluster(tmp_path / "cluster") as (address, _):
        for number in (signal.SIGINT, signal.SIGTERM):
            child = subprocess.Popen(
                [*command, "--block", "128", "--device", "cpu", "--scheduler", address],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            while blocks(tmp_path / "out.zarr") < 5 and child.poll() is None:
                time.sleep(0.005)
            child.send_signal(number)
            told, _ = child.communicate(timeout=120)
            assert (child.returncode, told) == (128 + number, "drht: interrupted\n")
            time.sleep(0.5)
            assert sorted(os.listdir(tmp_path)) == ["cluster", "in.zarr"]
        with open_client(address) as client:
            assert not any(client.processing().values())
            correct_store(source, tmp_path / "out.zarr", client=client, **HOW)
    assert np.array_equal(level(tmp_path / "out.zarr"), drht_plugin.correct(image, device="cpu"))


_WITHOUT = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "drht_plugin":
            raise ModuleNotFoundError("No module named 'drht_plugin'", name=name)

sys.meta_path.insert(0, Nothing())
"""
_BLIND = """
import os.path

def exists(path, real=os.path.exists):
    return "{}" not in os.fspath(path) and real(path)

os.path.exists = exists
"""
_OTHER = "import drht_plugin._version as version; version.__version__ = '0.0.1'"


@pytest.mark.parametrize(
    ("start", "words", "code"),
    [
        (_WITHOUT, "cannot run drht .*No module named 'drht_plugin'", 2),
        (_OTHER, r"has drht 0\.0\.1; expected", 2),
        (_BLIND.format("in.zarr"), r"in\.zarr: is not seen by worker", 1),
        (_BLIND.format(".drht-resume"), r"out\.zarr: is not seen by worker", 1),
    ],
)
def test_workers_that_cannot_do_the_work(
    start: str,
    words: str,
    code: int,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A worker without this version, or the files, is named at once, also by the command."""
    from drht_plugin import cli

    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(start)
    environment = {"PYTHONPATH": str(tmp_path / "start")}
    with cluster(tmp_path / "start", 1, environment) as (address, _):
        with open_client(address) as client, pytest.raises(InputError, match=words):
            correct_store(source, tmp_path / "out.zarr", client=client, **HOW)
        out = str(tmp_path / "out.zarr")
        assert cli.main(["correct", str(source), "-o", out, "--scheduler", address]) == code
    assert re.search(words, capsys.readouterr().err)
    assert sorted(os.listdir(tmp_path)) == ["in.zarr", "start"]


def test_a_run_that_has_ended(tmp_path: Path) -> None:
    """A stale task of an earlier run writes nothing once another run makes the same result."""
    place = Place.of(Address.of(tmp_path / "out.zarr"))
    with open_place(place.target, {}, "second", resume=False):
        place.require_open("second")
        with pytest.raises(WriteError, match="is not being made any more"):
            place.require_open("first")
    with pytest.raises(WriteError, match="is not being made any more"):
        place.require_open("second")
