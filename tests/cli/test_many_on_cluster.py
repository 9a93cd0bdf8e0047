"""Many pictures on a cluster: as without one, whatever dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
from clusters import cluster, local_cluster
from test_many import DRHT, fill

from drht_plugin import __version__
from drht_plugin.cli import cluster_batch, cluster_work, main
from drht_plugin.cli.cluster_batch import ClusterBatch
from drht_plugin.cli.cluster_work import Networks, Room
from drht_plugin.cli.outputs import Job
from drht_plugin.cli.progress import Progress
from drht_plugin.cli.work import Work
from drht_plugin.dask.workers import Cluster
from drht_plugin.engine import weigh
from drht_plugin.errors import InputError
from drht_plugin.file_correction import FileReport
from drht_plugin.io import read_picture

distributed = pytest.importorskip("distributed", reason="distributed is not installed")

_SECONDS = re.compile(r'"seconds": (?:\{[^}]*\}|[0-9.]+)')


class Deadly(distributed.WorkerPlugin):  # type: ignore[misc, name-defined]
    """Kills a worker that begins with a picture whose name has "poison" in it."""

    def setup(self, worker: Any) -> None:
        correct = Work.correct

        def deadly(work: Any, job: Job, *others: Any, **options: Any) -> FileReport:
            if "poison" in job.source:
                os._exit(1)
            return correct(work, job, *others, **options)

        Work.correct = deadly  # type: ignore


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Address of a cluster of two processes, which work in this folder and not in the tests'."""
    with local_cluster() as cluster:
        yield cluster.scheduler_address


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DRHT, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def told(done: subprocess.CompletedProcess[str], out: str) -> tuple[int, str, str]:
    """What a command told, but for times and the name of the folder of results."""
    return done.returncode, _SECONDS.sub("", done.stdout).replace(out, "out"), done.stderr


def files(folder: Path) -> dict[bytes, bytes]:
    return {
        os.fsencode(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("lines", ["--json", "--damaged=keep"])
def test_it_is_as_without_a_cluster(lines: str, tmp_path: Path, address: str) -> None:
    """The same files bit for bit, lines, warnings, names and exit code, from any folder."""
    fill(tmp_path / "in", 8, (3, 4))
    (tmp_path / "in" / "deep").mkdir()
    for name in (os.fsdecode(b"a\xe9.png"), "A.png", "a.png"):
        made.pillow(tmp_path / "in" / "deep" / name, made.values(3, "uint8", 30, 40))
    common = ["in", "none.jpg", "--recursive", "--hdr", "--format", "png", lines]
    here = run(tmp_path, *common, "-o", "here")
    there = run(tmp_path, *common, "-o", "there", "--scheduler", address)
    assert here.returncode == 1
    assert told(there, "there") == told(here, "here")
    assert files(tmp_path / "there") == files(tmp_path / "here")
    again = run(tmp_path, *common, "-o", "there", "--scheduler", address, "--skip-existing")
    expected = run(tmp_path, *common, "-o", "here", "--skip-existing")
    assert told(again, "there") == told(expected, "here")


def test_processes_of_this_machine(tmp_path: Path) -> None:
    """`local:2` gives the same, and no process, unfinished file or line of a log is left."""
    fill(tmp_path / "in", 4, (3,))
    here = run(tmp_path, "in", "-o", "here")
    there = run(tmp_path, "in", "-o", "there", "--scheduler", "local:2")
    assert told(there, "there") == told(here, "here")
    assert files(tmp_path / "there") == files(tmp_path / "here")


def test_a_worker_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    """What a worker had when it was killed is done by others, with the same report."""
    fill(tmp_path / "in", 24, (5,))
    with local_cluster() as cluster:
        with distributed.Client(cluster) as client:
            processes = list(client.run(os.getpid).values())
        lines = tmp_path / "lines"
        with lines.open("w") as out:
            child = subprocess.Popen(
                [*DRHT, "in", "-o", "there", "--json", "--scheduler", cluster.scheduler_address],
                cwd=tmp_path,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
            )
            while child.poll() is None and not lines.stat().st_size:
                time.sleep(0.01)
            os.kill(processes[0], signal.SIGKILL)
            _, err = child.communicate(timeout=200)
    there = subprocess.CompletedProcess(child.args, child.returncode, lines.read_text(), err)
    here = run(tmp_path, "in", "-o", "here", "--json")
    assert told(there, "there") == told(here, "here")
    assert files(tmp_path / "there") == files(tmp_path / "here")


@pytest.mark.parametrize(("workers", "tries", "words"), [(1, 1, "once"), (2, 2, "2 times")])
def test_what_kills_its_worker_is_named(
    workers: int, tries: int, words: str, tmp_path: Path
) -> None:
    """A picture that kills workers fails after its retries; all others are corrected as ever.

    With one worker that is given a single try, the scheduler blames others for the first death.
    """
    fill(tmp_path / "in", 8, (5,))
    run(tmp_path, "in", "-o", "here")
    made.pillow(tmp_path / "in" / "003poison.png", made.values(3, "uint8", 30, 40))
    with local_cluster(workers, scheduler_kwargs={"allowed_failures": tries - 1}) as cluster:
        with distributed.Client(cluster) as client:
            client.register_plugin(Deadly())
        there = run(
            tmp_path, "in", "-o", "there", "--json", "--scheduler", cluster.scheduler_address
        )
    assert there.returncode == 1
    *lines, summary = [json.loads(line) for line in there.stdout.splitlines()]
    assert [Path(line["source"]).name for line in lines] == sorted(os.listdir(tmp_path / "in"))
    failed = {line["source"]: (line["kind"], line["error"]) for line in lines if "error" in line}
    assert list(failed) == ["in/003poison.png", "in/005.jpg"]
    kind, error = failed["in/003poison.png"]
    assert kind == "ClusterError"
    assert error == (
        "in/003poison.png: its worker died each time that it was tried, in the end "
        f"{words} with nothing else on the cluster"
    )
    assert summary["summary"]["failed"] == 2
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert len(there.stderr.splitlines()) == 3


def _lives(group: int) -> bool:
    """Whether a process of a group is there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all(number: int, tmp_path: Path) -> None:
    """Ctrl-C reaches all processes of the command: one line, whole results, none left running."""
    (tmp_path / "in").mkdir()
    pixels = np.tile(made.values(3, "uint8", 256, 256), (4, 6, 1))
    for index in range(60):
        made.pillow(tmp_path / "in" / f"{index:02}.png", pixels)
    child = subprocess.Popen(
        [*DRHT, "in", "-o", "out", "--json", "--scheduler", "local:2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    for _ in range(2):
        assert child.stdout.readline()
    os.killpg(child.pid, number)
    out, err = child.communicate(timeout=120)
    assert (child.returncode, err) == (128 + number, "drht: interrupted\n")
    assert 2 + len(out.splitlines()) < 60
    for name, _ in sorted(files(tmp_path / "out").items()):
        assert name.endswith(b".png")
        assert read_picture(tmp_path / "out" / os.fsdecode(name)).shape == (1024, 1536, 3)
    limit = time.monotonic() + 20  # Python's own helper of the command ends a moment later
    while _lives(child.pid) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not _lives(child.pid)


def test_a_signal_stops_what_a_cluster_has_begun(tmp_path: Path, address: str) -> None:
    """Workers that live on give up the pictures of a command that was stopped."""
    (tmp_path / "in").mkdir()
    pixels = np.tile(made.values(3, "uint8", 256, 256), (4, 6, 1))
    for index in range(40):
        made.pillow(tmp_path / "in" / f"{index:02}.png", pixels)
    command = [*DRHT, "in", "-o", "out", "--scheduler", address]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=120)
    assert child.returncode == 143
    left = files(tmp_path / "out")
    assert 0 < len(left) < 40
    assert not list((tmp_path / "out").glob(".*"))
    time.sleep(1)
    assert files(tmp_path / "out") == left
    with distributed.Client(address) as client:
        assert not any(client.processing().values())


def test_a_lost_scheduler_ends_the_command(tmp_path: Path) -> None:
    """It is named, what is done stays whole, and --skip-existing does the rest."""
    fill(tmp_path / "in", 30, ())
    with cluster(tmp_path, workers=1) as (address, scheduler):
        child = subprocess.Popen(
            [*DRHT, "in", "-o", "out", "--json", "--scheduler", address],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(3):
            assert child.stdout.readline()
        scheduler.kill()
        _, err = child.communicate(timeout=120)
    assert child.returncode == 1
    first, second = err.splitlines()
    assert first.startswith(f"drht: the scheduler {address} is gone")
    assert "--skip-existing" in second
    rest = run(tmp_path, "in", "-o", "out", "--skip-existing")
    assert rest.returncode == 0
    assert run(tmp_path, "in", "-o", "expected").returncode == 0
    assert files(tmp_path / "out") == files(tmp_path / "expected")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-", "-o", "a.png"], "- is stdin"),
        (["in", "-o", "-"], "stdout"),
        (["in", "-o", "out", "--jobs", "2"], "--jobs"),
        (["in", "-o", "out", "--scheduler", "tcp://127.0.0.1:9"], "no scheduler answers"),
    ],
)
def test_what_cannot_work_is_refused(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Options that are for one process are refused by name; nothing is touched."""
    from drht_plugin.dask import cluster

    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1)
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "in", 2, ())
    assert main(["correct", "--scheduler", "local:1", *arguments]) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert not out
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize("wrong", [["--model", "nothing"], ["--threads", "0"]])
def test_what_workers_refuse_fails_before_any_picture(
    wrong: list[str], tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the workers cannot load is an error of the command, as without a cluster."""
    fill(tmp_path / "in", 2, ())
    common = ["correct", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *wrong]
    assert main([*common, "--scheduler", address]) == 2
    there = capsys.readouterr().err
    assert main(common) == 2
    assert there == capsys.readouterr().err
    assert os.listdir(tmp_path) == ["in"]


def test_a_missing_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without distributed, the error says what to install."""
    fill(tmp_path / "in", 1, ())
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["correct", str(tmp_path / "in"), "-o", "out", "--scheduler", "local:1"]) == 1
    assert "drht-plugin[dask]" in capsys.readouterr().err


@dataclass
class _Looked:
    """A client whose workers answer as they are told to."""

    answers: dict[str, Any]

    def run(self, *_: Any, **__: Any) -> dict[str, Any]:
        return self.answers


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (("0.0.0", [True, True]), r"worker tcp://b has drht 0\.0\.0; expected"),
        (
            ModuleNotFoundError("No module named 'drht_plugin'"),
            "worker tcp://b cannot run .*No m",
        ),
        ((__version__, [True, False]), "here: is not seen by worker tcp://b"),
    ],
)
def test_workers_that_would_give_other_results_are_refused(
    answer: Any, words: str, tmp_path: Path
) -> None:
    """A worker without this version, or without the files, is named before any picture."""
    (tmp_path / "here").mkdir()
    right = (__version__, [True, True])
    cluster = Cluster(_Looked({"tcp://a": right, "tcp://b": answer}), "tcp://s")
    paths = {"in": str(tmp_path), "here": str(tmp_path / "here")}
    with pytest.raises(InputError, match=words):
        cluster.require_equal(paths)


_first = threading.Event()


class _Quick:
    """Stands for `Work`: the first picture waits until the test lets it go."""

    def correct(self, job: Job, _corrector: Any, **_: Any) -> FileReport:
        if job.source == "0":
            _first.wait(60)
        return FileReport(job.source, str(job.target), None, 1, 1, 1, "uint8", 0, "guided", False)


def test_pictures_do_not_pile_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few pictures are with the scheduler at once, and few outcomes wait for an earlier one."""
    monkeypatch.setattr(cluster_batch, "_MOST_UNTOLD", 100)
    monkeypatch.setattr(cluster_work, "loaded", lambda _: None)
    given, untold = [0], [0]
    jobs = [Job(f"{n}", f"{n}", tmp_path / f"out{n}", None) for n in range(600)]

    def admit(_: Job) -> bool:
        given.append(len(batch._given))
        untold.append(len(batch._untold))
        if untold[-1] == 99:
            threading.Timer(0.5, _first.set).start()
        return False

    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=3, dashboard_address="127.0.0.1:0"
    ) as client:
        networks = Networks("default", "cpu", "auto", 1, "auto", 0)
        batch = ClusterBatch(
            Cluster(client, "here"),
            _Quick(),  # type: ignore[arg-type]
            networks,
            admit,
            Progress([1] * 600, None),
        )
        outcomes = batch.run(jobs)
        assert next(outcomes).index == 0
        assert max(untold) == 99
        assert [outcome.index for outcome in outcomes] == list(range(1, 600))
        assert 1 < max(given) < 12
        assert max(untold) <= 99
        for _ in range(200):  # they are released on another thread
            if not client.futures:
                break
            time.sleep(0.05)
        assert not client.futures


def test_networks_are_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of a worker that begin at once wait for one loading, and share it."""
    from drht_plugin.model.runner import Runner

    loads: list[str] = []
    load = Runner.__init__

    def counted(self: Runner, *arguments: Any, **named: Any) -> None:
        loads.append("load")
        load(self, *arguments, **named)

    monkeypatch.setattr(Runner, "__init__", counted)
    networks = Networks("default", "cpu", "numba", 1, "auto", 12345)
    cluster_work._load.cache_clear()
    weigh._cached.cache_clear()
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(cluster_work.loaded, [networks] * 6))
    assert loads == ["load"]
    assert len(set(map(id, made))) == 1


def test_a_process_takes_as_much_as_it_has_room_for() -> None:
    """Pictures of a worker's threads share its room; one beyond it is worked on alone."""
    room, lock, busy, most = Room(10), threading.Lock(), [0], [0]

    def work(cost: int) -> None:
        with room.taken(cost):
            with lock:
                busy[0] += cost
                most[0] = max(most[0], busy[0])
                assert busy[0] in (cost, 4, 8)
            time.sleep(0.02)
            with lock:
                busy[0] -= cost

    threads = [threading.Thread(target=work, args=(cost,)) for cost in (4, 4, 100, 4, 4, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [100]
