"""Unfinished files, whose process may be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drht_plugin.storage import Together, replacing, scratch

fcntl = pytest.importorskip("fcntl")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX locks")

HOLD = """
import sys, time
from pathlib import Path
from drht_plugin.storage import replacing
with replacing(Path(sys.argv[1])) as unfinished:
    unfinished.write_bytes(b"half")
    print("written", flush=True)
    time.sleep(600)
"""


def holder(target: Path) -> subprocess.Popen[bytes]:
    """A process in the middle of writing."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    return process


def hidden(folder: Path) -> list[Path]:
    return sorted(folder.glob(".drht-*"))


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are looked at as by a process that has just started."""
    monkeypatch.setattr(scratch, "_seen", set())


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    """The unfinished file of a killed process is removed, that of a living one is not."""
    with holder(tmp_path / "a") as alive:
        living = hidden(tmp_path)
        with holder(tmp_path / "b") as killed:
            killed.kill()
        assert len(hidden(tmp_path)) == 2
        with replacing(tmp_path / "c") as unfinished:
            unfinished.write_bytes(b"whole")
        assert hidden(tmp_path) == living
        alive.kill()
    assert (tmp_path / "c").read_bytes() == b"whole"


@pytest.mark.parametrize("kind", ["file", "link", "name", "owner", "machine"])
def test_what_is_not_ours_stays(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links, other names, other users' and other machines' folders are not removed."""
    node = "00000000" if kind == "machine" else scratch._node()
    path = tmp_path / ("drht-mine" if kind == "name" else f".drht-{node}-0123456789ab")
    target = tmp_path / "precious"
    target.mkdir()
    if kind == "link":
        path.symlink_to(target)
    else:
        path.mkdir()
    if kind == "owner":
        monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    if kind == "file":
        path.rmdir()
        os.mkfifo(path)
    scratch.remove_leftovers(tmp_path)
    assert os.path.lexists(path)
    assert target.exists()
    if kind == "machine":
        long_ago = time.time() - 30 * 24 * 3600
        os.utime(path, (long_ago, long_ago))
        scratch.remove_leftovers(tmp_path)
        assert not path.exists()


def test_a_folder_taken_for_a_leftover_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that another process removes before it is locked is replaced by another."""
    lock = fcntl.flock
    taken: list[Path] = []

    def too_late(descriptor: int, operation: int) -> None:
        if not taken:
            (folder,) = hidden(tmp_path)
            folder.rmdir()
            taken.append(folder)
        lock(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", too_late)
    with scratch.scratch_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert folder not in taken
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_only_files_are_replaced(kind: str, tmp_path: Path) -> None:
    """A pipe, or a link to a device, is not replaced by a file."""
    target = tmp_path / "target"
    if kind == "fifo":
        os.mkfifo(target)
    else:
        target.symlink_to("/dev/null")
    with pytest.raises(OSError, match="not a file"), replacing(target):
        raise AssertionError
    assert not target.is_file()


def test_together_waits_for_all(tmp_path: Path) -> None:
    """No file of a group is there before all are whole, and none if the body fails."""
    paths = [tmp_path / name for name in "ab"]
    for fails in (True, False):
        try:
            with Together() as group:
                for path in paths:
                    with replacing(path, group=group) as unfinished:
                        unfinished.write_bytes(b"whole")
                    assert not path.exists()
                if fails:
                    raise InterruptedError
        except InterruptedError:
            assert list(tmp_path.iterdir()) == []
    assert [path.read_bytes() for path in paths] == [b"whole"] * 2
    assert len(list(tmp_path.iterdir())) == 2
