"""What lies on the disk of a resumed job, whenever the machine stops."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from strategies import corrector, picture

from drht_plugin.resume import ResumableRows, open_resumable

HEIGHT, WIDTH, BAND = 63, 40, 7
JOB = {"kind": "a test"}


class LazyDisk:
    """A disk that keeps of each file what it held at its last fsync, and nothing else.

    It stands before the real `os.fsync` and looks at the real files. What was written since may
    or may not be on the disk when the machine stops, so that a file has two states here: `now`,
    where all of it got there, and `kept`, where none did.
    """

    def __init__(self, folder: Path, before: Callable[[], None]) -> None:
        self._folder, self._before, self._sync = folder, before, os.fsync
        self._kept: dict[int, bytes] = {}

    def fsync(self, descriptor: int) -> None:
        """The real one, between two looks at the files."""
        self._before()
        self._sync(descriptor)
        status = os.fstat(descriptor)
        for path in self._folder.iterdir():
            if os.path.samestat(path.stat(), status):
                self._kept[status.st_ino] = path.read_bytes()

    def now(self, name: str) -> bytes:
        """A file with all that was written."""
        return (self._folder / name).read_bytes()

    def kept(self, name: str) -> bytes:
        """A file as of its last fsync."""
        return self._kept.get((self._folder / name).stat().st_ino, b"")


def named(journal: bytes) -> int:
    """How many rows a journal says are on the disk."""
    lines = journal.splitlines()
    return int(lines[-1].split()[0]) if lines else 0


def test_rows_are_on_the_disk_before_the_journal_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are fsynced before the journal names them, the journal before `done` counts them.

    At each moment a disk that has all of the journal, and of the rows what was fsynced alone,
    has all rows that the journal names; and one that has of the journal what was fsynced alone
    has a line for all rows that are `done`.
    """
    pixels = picture(HEIGHT, WIDTH, 3, "uint16", seed=8)
    seconds = itertools.count(step=10)
    monkeypatch.setattr("time.monotonic", lambda: float(next(seconds)))

    with open_resumable(tmp_path / "a.tif", JOB, pixels.shape, pixels.dtype) as kept:

        def hold() -> None:
            rows = disk.now("journal")
            whole = pixels[: named(rows)].tobytes()
            assert disk.kept("rows")[: len(whole)] == whole
            assert kept.done <= named(disk.kept("journal"))

        disk = LazyDisk(kept.folder, hold)
        monkeypatch.setattr("os.fsync", disk.fsync)
        for top in range(0, HEIGHT, BAND):
            kept[top : top + BAND] = pixels[top : top + BAND]
            hold()
        assert kept.done == HEIGHT
        assert len(disk.now("journal").splitlines()) == HEIGHT // BAND


def test_a_job_goes_on_from_the_worst_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut a job takes over all rows that were done, though nothing else survived."""
    pixels = picture(HEIGHT, WIDTH, 3, "uint8", seed=9)
    seconds = itertools.count(step=10)
    monkeypatch.setattr("time.monotonic", lambda: float(next(seconds)))
    target = tmp_path / "a.tif"
    kept = ResumableRows(target, JOB, pixels.shape, pixels.dtype)
    kept.store_scene(corrector().survey(pixels))
    disk = LazyDisk(kept.folder, lambda: None)
    monkeypatch.setattr("os.fsync", disk.fsync)
    for top in range(0, 35, BAND):
        kept[top : top + BAND] = pixels[top : top + BAND]
    done = kept.done
    kept.close()
    left = {name: disk.kept(name) for name in ("rows", "journal")}
    for name, data in left.items():
        (kept.folder / name).write_bytes(data)

    with open_resumable(target, JOB, pixels.shape, pixels.dtype) as resumed:
        assert resumed.done == done == 35
        assert np.array_equal(resumed[0:35], pixels[:35])
