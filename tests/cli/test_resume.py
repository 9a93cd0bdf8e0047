"""`drht correct --resume`: killed runs go on where they were."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
from strategies import corrector

from drht_plugin import Corrector, InputError, WriteError, correct_file, resume
from drht_plugin.cli import main

STUB = corrector()
HEIGHT, WIDTH = 2400, 300

RUN = """
import sys, time
from drht_plugin import cli, resume
from drht_plugin.engine import corrector as engine
from strategies import corrector

resume._JOURNAL_SECONDS = 0.0
stub = corrector()
engine.Corrector = lambda **_: stub
store = resume.ResumableRows.__setitem__
def slowly(self, rows, pixels):
    store(self, rows, pixels)
    time.sleep(0.02)
resume.ResumableRows.__setitem__ = slowly
print("ready", flush=True)
sys.exit(cli.main(["correct", *sys.argv[1:]]))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.tif"
    made.tiff(path, made.values(3, "uint8", HEIGHT, WIDTH))
    return path


def started(source: Path, target: Path, *more: str) -> subprocess.Popen[str]:
    """The command, with a quick stand-in for the networks and a slow disk."""
    here = Path(__file__).parent.parent
    arguments = [str(source), "-o", str(target), "--resume", "--memory", "1M", "--quiet", *more]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])},
    )


def folder(target: Path) -> Path:
    return target.with_name(f".{target.name}.drht-resume")


def journal(target: Path) -> list[str]:
    try:
        return (folder(target) / "journal").read_text().splitlines()
    except FileNotFoundError:
        return []


def wait_for(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def begun(source: Path, target: Path, rows: int = 1, **settings: Any) -> None:
    """A job that was interrupted after some journal lines."""

    def stop(share: float) -> None:
        if len(journal(target)) >= rows:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        correct_file(
            source, target, corrector=STUB, resume=True, memory="1M", progress=stop, **settings
        )
    assert "rows are stored in" in caught.value.__notes__[0]


@pytest.fixture
def every_band(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "_JOURNAL_SECONDS", 0.0)


def test_killed_again_and_again(source: Path, tmp_path: Path) -> None:
    """A job that is killed at random moments ends with the bits of an undisturbed one.

    It makes progress each time, leaves nothing under the target's name before it is whole, and
    nothing beside it afterwards.
    """
    correct_file(source, tmp_path / "whole.tif", corrector=STUB)
    target = tmp_path / "b.tif"
    chance = random.Random(5)
    lines = 0
    for _ in range(3):
        process = started(source, target)
        with process:
            wait_for(lambda before=lines: len(journal(target)) > before)
            time.sleep(chance.random() * 0.1)
            process.kill()
        assert not target.exists()
        assert len(journal(target)) > lines
        lines = len(journal(target))
    with started(source, target) as process:
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert target.read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif", "whole.tif"]


def test_interrupt_says_what_is_kept(source: Path, tmp_path: Path) -> None:
    """Ctrl-C leaves the finished rows, and says where and how to go on."""
    target = tmp_path / "b.tif"
    process = started(source, target)
    with process:
        wait_for(lambda: len(journal(target)) > 1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "drht: interrupted" in err
    assert f"of {HEIGHT} rows are stored in {folder(target)}; repeat the same call" in err
    assert "Traceback" not in err
    assert not target.exists()


@pytest.mark.usefixtures("every_band")
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".webp"])
def test_the_rest_alone_is_rendered(suffix: str, source: Path, tmp_path: Path) -> None:
    """A resumed job neither surveys again nor renders what is finished; any format may follow."""
    target = tmp_path / f"b{suffix}"
    begun(source, target, rows=4)
    done = int(journal(target)[-1].split()[0])
    shares: list[float] = []
    correct_file(source, target, corrector=STUB, resume=True, memory="1M", progress=shares.append)
    assert min(shares) > 0.3 + 0.7 * done / HEIGHT
    correct_file(source, tmp_path / f"c{suffix}", corrector=STUB)
    assert target.read_bytes() == (tmp_path / f"c{suffix}").read_bytes()
    assert not folder(target).exists()


@pytest.mark.usefixtures("every_band")
def test_network_detail_goes_on(tmp_path: Path) -> None:
    """A resumed job in network detail ends with the bits of an undisturbed one."""
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    made.tiff(source, made.values(3, "uint8", 3000, 120))
    settings: dict[str, Any] = {
        "corrector": Corrector(),
        "detail": "network",
        "memory": "1M",
        "resume": True,
    }

    def stop(share: float) -> None:
        if journal(target):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        correct_file(source, target, progress=stop, **settings)
    assert 0 < int(journal(target)[-1].split()[0]) < 3000
    correct_file(source, target, **settings)
    correct_file(source, tmp_path / "c.tif", **{**settings, "resume": False})
    assert target.read_bytes() == (tmp_path / "c.tif").read_bytes()


@pytest.mark.usefixtures("every_band")
@pytest.mark.parametrize("damage", ["journal", "tail", "rows", "scene", "leftover"])
def test_damaged_scratch(damage: str, source: Path, tmp_path: Path) -> None:
    """What a crash may leave half-written is done again, never used."""
    target = tmp_path / "b.tif"
    begun(source, target, rows=4)
    kept = folder(target)
    if damage == "journal":
        lines = (kept / "journal").read_bytes()
        (kept / "journal").write_bytes(lines[:-3])
    elif damage == "tail":
        with open(kept / "journal", "ab") as file:
            file.write(b"\0\0\xff garbage 12\n")
    elif damage == "rows":
        with open(kept / "rows", "r+b") as file:
            first = int(journal(target)[0].split()[0])
            file.seek((first + 1) * WIDTH * 3)
            file.write(b"\1\2\3")
    elif damage == "scene":
        (kept / "scene.safetensors").unlink()
    else:
        (kept / ".drht-0123.tif").write_bytes(b"half a target")
    correct_file(source, target, corrector=STUB, resume=True, memory="1M")
    correct_file(source, tmp_path / "c.tif", corrector=STUB)
    assert target.read_bytes() == (tmp_path / "c.tif").read_bytes()
    assert not kept.exists()


@pytest.mark.usefixtures("every_band")
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"strength": 0.5}, "settings"),
        ({"exposure": 0.5}, "settings"),
        ({"preset": "strong"}, "settings"),
        ({"wrap": True}, "settings"),
        ({"memory": "2M"}, "memory"),
        ({}, "source"),
    ],
)
def test_another_job(change: dict[str, Any], word: str, source: Path, tmp_path: Path) -> None:
    """Rows of another job, or of a source that has changed, are refused by what differs."""
    target = tmp_path / "b.tif"
    begun(source, target)
    before = journal(target)
    if not change:
        made.tiff(source, made.values(3, "uint8", HEIGHT, WIDTH, seed=1))
    with pytest.raises(WriteError, match=rf"^b\.tif: .*another job \(another {word}\)"):
        correct_file(source, target, corrector=STUB, resume=True, **({"memory": "1M"} | change))
    assert journal(target) == before
    assert not target.exists()


@pytest.mark.usefixtures("every_band")
def test_two_at_once(source: Path, tmp_path: Path) -> None:
    """A second process on the same target is refused, and does not disturb the first."""
    target = tmp_path / "b.tif"
    process = started(source, target)
    with process:
        wait_for(lambda: journal(target))
        with pytest.raises(WriteError, match="another process is working on it"):
            correct_file(source, target, corrector=STUB, resume=True, memory="1M")
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")


def test_nothing_is_kept_of_nothing(source: Path, tmp_path: Path) -> None:
    """A job that fails before its first rows are finished leaves no scratch."""

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        correct_file(source, tmp_path / "b.tif", corrector=STUB, resume=True, progress=stop)
    with pytest.raises(InputError, match="quality"):
        correct_file(source, tmp_path / "b.jpg", corrector=STUB, resume=True, quality=0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_no_room_for_the_rows(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without room for the rows is an error before the survey; nothing is left."""

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(
        WriteError, match=r"^b\.png: finished rows cannot be stored in .*No space left"
    ):
        correct_file(source, tmp_path / "b.png", corrector=STUB, resume=True, memory="1M")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_memory_is_checked_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A --memory that is no size is exit code 2, before any picture."""
    assert main(["correct", str(tmp_path / "none.tif"), "--memory", "lots"]) == 2
    assert "memory is 'lots'; expected bytes, or a text such as '512M'" in capsys.readouterr().err


def test_memory_too_small_for_a_row(source: Path, tmp_path: Path) -> None:
    """A memory that one row does not fit is refused by name, and nothing is written."""
    with pytest.raises(InputError, match="1 rows of 300 pixels need"):
        correct_file(source, tmp_path / "b.tif", corrector=STUB, memory=2000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
    assert np.array_equal(made.stored(source), made.values(3, "uint8", HEIGHT, WIDTH))
