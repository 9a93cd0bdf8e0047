"""Many pictures in one command: overlapped, in order, counted, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path

import io_samples as made
import numpy as np
import pytest

from drht_plugin.cli import main
from drht_plugin.cli.batch import Batch
from drht_plugin.cli.outputs import Job
from drht_plugin.cli.progress import Progress
from drht_plugin.file_correction import FileReport

DRHT = [sys.executable, "-m", "drht_plugin.cli", "correct"]
COUNT, BAD = 200, (3, 50, 51, 120, 199)


def fill(folder: Path, count: int = COUNT, bad: tuple[int, ...] = BAD) -> list[str]:
    """Small pictures of several formats, some of them cut, empty or no pictures; returns names."""
    folder.mkdir()
    written = []
    for number in range(count):
        name = f"{number:03}{('.png', '.jpg', '.tif', '.webp')[number % 4]}"
        made.pillow(folder / name, made.values(3, "uint8", 24 + number % 7, 32, number))
        if number in bad:
            whole = (folder / name).read_bytes()
            (folder / name).write_bytes((b"", b"no picture", whole[: len(whole) // 3])[number % 3])
        written.append(name)
    return written


def test_200_pictures_of_which_5_are_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One summary, 5 named with their folders, in order; --skip-existing then does only those."""
    listed = fill(tmp_path / "in")
    run = ["correct", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--json"]
    assert main([*run, "--jobs", "3"]) == 1
    out, err = capsys.readouterr()
    *lines, last = [json.loads(line) for line in out.splitlines()]
    assert [Path(line["source"]).name for line in lines] == listed
    bad = [number for number, line in enumerate(lines) if "error" in line]
    assert tuple(bad) == BAD
    told = err.splitlines()
    assert len(told) == 6
    for number, line in zip(bad, told[:5], strict=True):
        assert line.startswith(f"drht: {tmp_path}/in/{listed[number]}: ")
    assert told[5] == "drht: 5 of 200 pictures failed"
    counts = {
        name: last["summary"][name] for name in ("pictures", "corrected", "failed", "skipped")
    }
    assert counts == {"pictures": 200, "corrected": 195, "failed": 5, "skipped": 0}
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert len(kept) == 195

    assert main([*run, "--skip-existing"]) == 1
    out, err = capsys.readouterr()
    *lines, last = [json.loads(line) for line in out.splitlines()]
    assert [number for number, line in enumerate(lines) if "error" in line] == bad
    assert sum(line.get("skipped", False) for line in lines) == 195
    assert err.splitlines()[-1] == (
        "drht: 5 of 200 pictures failed; 195 skipped, as their results exist"
    )
    for number in bad:
        (tmp_path / "in" / listed[number]).unlink()
        made.pillow(tmp_path / "in" / listed[number], made.values(3, "uint8", 24, 32))
    assert main([*run, "--skip-existing", "--quiet"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])["summary"]
    assert (summary["corrected"], summary["skipped"]) == (5, 195)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert {name: after[name] for name in kept} == kept
    assert main([*run, "--skip-existing", "--quiet"]) == 0


def test_any_number_at_once_gives_the_same(tmp_path: Path) -> None:
    """Files, lines and their order are the same with 1, 3 and 8 pictures at once."""
    fill(tmp_path / "in", 24, (5,))
    told, written = [], []
    for jobs in ("1", "3", "8"):
        out = tmp_path / f"out{jobs}"
        done = subprocess.run(
            [*DRHT, "in", "-o", f"out{jobs}", "--jobs", jobs, "--format", "png", "--hdr"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 1
        told.append((done.stdout.replace(f"out{jobs}", "out"), done.stderr))
        written.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert told[1:] == [told[0]] * 2
    assert written[1:] == [written[0]] * 2
    assert len(written[0]) == 46


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_unfinished(number: int, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM end all pictures that are worked on; whole results stay, and no more."""
    (tmp_path / "in").mkdir()
    pixels = np.tile(made.values(3, "uint8", 256, 256), (4, 6, 1))
    for index in range(60):
        made.pillow(tmp_path / "in" / f"{index:02}.png", pixels)
    child = subprocess.Popen(
        [*DRHT, "in", "-o", "out", "--jobs", "4"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for _ in range(2):
        assert child.stdout.readline()
    child.send_signal(number)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 128 + number
    assert "Traceback" not in err
    assert 2 + len(out.splitlines()) < 60
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert all(name.endswith(".png") for name in left)
    from drht_plugin.io import read_picture

    for path in (tmp_path / "out").iterdir():
        assert read_picture(path).shape == (1024, 1536, 3)


def _jobs(count: int) -> list[Job]:
    return [Job(f"{n}", f"{n}", Path(f"out{n}"), None) for n in range(count)]


def _report(job: Job) -> FileReport:
    return FileReport(job.source, str(job.target), None, 1, 1, 1, "uint8", 0.0, "guided", False)


def test_memory_is_bounded() -> None:
    """Pictures begin only as far as the budget goes; one beyond it is worked on alone."""
    lock, busy, most, beside = threading.Lock(), [0], [0], []
    costs = {"0": 4, "1": 4, "2": 4, "3": 100, "4": 4, "5": 4, "6": 4, "7": 4}

    def work(_index: int, job: Job) -> FileReport:
        with lock:
            busy[0] += costs[job.source]
            most[0] = max(most[0], busy[0] if job.source != "3" else 0)
            beside.append(busy[0]) if job.source == "3" else None
        time.sleep(0.02)
        with lock:
            busy[0] -= costs[job.source]
        return _report(job)

    batch = Batch(work, lambda _: False, lambda job: costs[job.source], 8, budget=10)
    assert [outcome.index for outcome in batch.run(_jobs(8))] == list(range(8))
    assert 4 < most[0] <= 10
    assert beside == [100]


def test_a_slow_picture_does_not_pile_up_others() -> None:
    """Outcomes that wait for an earlier one are as few as twice the pictures at once."""
    first, begun = threading.Event(), []

    def work(index: int, job: Job) -> FileReport:
        begun.append(index)
        if index == 0:
            first.wait(20)
        return _report(job)

    threading.Timer(0.5, first.set).start()
    batch = Batch(work, lambda _: False, lambda _: 0, 2)
    outcomes = batch.run(_jobs(50))
    assert next(outcomes).index == 0
    assert len(begun) <= 5
    assert [outcome.index for outcome in outcomes] == list(range(1, 50))


def test_names_that_a_disk_takes_for_one_are_not_written_at_once() -> None:
    """Of names that differ in their case alone, the second begins once the first is told."""
    order: list[str] = []
    jobs = [Job(name, name, Path(name), None) for name in ("A.png", "a.png", "b.png")]

    def work(_index: int, job: Job) -> FileReport:
        time.sleep(0.02)
        order.append(f"done {job.source}")
        return _report(job)

    def admit(job: Job) -> bool:
        order.append(f"begin {job.source}")
        return False

    for outcome in Batch(work, admit, lambda _: 0, 3).run(jobs):
        order.append(f"told {outcome.job.source}")
    assert order.index("told A.png") < order.index("begin a.png")


def test_the_line_of_progress() -> None:
    """It counts pictures, tells the time left by the work left, and what is waited for."""
    progress = Progress([1, 1, 2], None)
    begun = progress._begun
    assert progress.line("loading networks", begun + 1) == "1 of 3 · loading networks"
    progress.finish(0)
    progress.stage(1, "reading", "in/b.jpg")
    assert progress.line(progress._what(), begun + 10) == "2 of 3 · 25% · 30 s left · reading b.jpg"
    progress.share(1, 1.0)
    progress.finish(1)
    assert progress.line("writing", begun + 600) == "3 of 3 · 50% · 10 min left · writing"
    alone = Progress([5], None)
    alone.share(0, 0.5)
    assert alone.line("rendering a", alone._begun + 8000) == "50% · 2 h 13 min left · rendering a"


def test_skipped_pictures_do_not_shorten_the_time_left() -> None:
    """What took no time is left out of the estimate."""
    progress = Progress([1] * 10, None)
    for index in range(8):
        progress.finish(index, worked=False)
    progress.finish(8)
    assert progress.line("", progress._begun + 20) == "10 of 10 · 50% · 20 s left"


def test_nothing_is_drawn_without_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a log each picture is one line, without control characters."""
    fill(tmp_path / "in", 3, ())
    assert main(["correct", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert "\r" not in out + err
    assert "\x1b" not in out + err
    assert " of 3" not in err


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_a_terminal_sees_what_is_waited_for(tmp_path: Path) -> None:
    """On a terminal the line names the steps and counts; lines of results stay whole."""
    fill(tmp_path / "in", 6, ())
    main_end, terminal = os.openpty()
    done = subprocess.Popen(
        [*DRHT, "in", "-o", "out", "--jobs", "1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
    )
    os.close(terminal)
    seen = b""
    with suppress(OSError):  # the other end has closed
        while part := os.read(main_end, 1 << 16):
            seen += part
    out, _ = done.communicate(timeout=60)
    os.close(main_end)
    assert done.returncode == 0
    drawn = seen.decode().split("\r\x1b[K")
    assert any("loading networks" in line for line in drawn)
    assert any(" of 6 · " in line for line in drawn)
    assert drawn[-1].strip() == ""
    assert len(out.splitlines()) == 6


def test_a_line_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long names are cut where the terminal ends."""
    monkeypatch.setenv("COLUMNS", "40")
    stream = StringIO()
    progress = Progress([1], stream)
    progress.stage(0, "reading", "x" * 100 + ".png")
    assert len(stream.getvalue().removeprefix("\r\x1b[K")) == 39
