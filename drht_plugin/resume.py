"""Finished rows of a long job, kept beside its target, so that a killed job can go on.

A folder `.TARGET.drht-resume` holds:

- `job.json`: what the job is;
- `scene.safetensors`: the survey;
- `rows`: the pixels, raw;
- `journal`: lines of "rows crc": so many rows are on the disk, and the checksum of those since the
  line before;
- for a while, the target that is being written.

Rows are on the disk before the journal says so, whatever ends the process or the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.scene import Scene
from drht_plugin.errors import ReadError, WriteError
from drht_plugin.storage import replacing, reserve

Job = dict[str, Any]

_SECONDS = 1.0
"""Between two lines of the journal, at least: each waits for the disk."""

_HEAD_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 23


def source_identity(path: Path) -> Job:
    """What tells one state of a file from another: size, time of change, digest of its head."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
    return {"size": status.st_size, "modified": status.st_mtime_ns, "head": head}


class ResumableRows:
    """The rows of one job: a sink for them, a source of what is finished; see `open_resumable`.

    Attributes:
        folder: where it is.
        shape, dtype: of the whole picture.
        done: rows from the first on that are finished.
        scene: the job's survey, if it was made already.
    """

    def __init__(
        self, target: Path, job: Job, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._target, self._job = target, job
        self.shape, self.dtype = shape, dtype
        self.folder = folder_of(target)
        self.done = self._given = 0
        self.scene: Scene | None = None
        self._row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        self._crc = 0
        self._told = time.monotonic()
        self._files = ExitStack()
        fresh = not self.folder.exists()
        try:
            with self._storing():
                self.folder.mkdir(exist_ok=True)
                self._journal = self._opened("journal")
                self._rows = self._opened("rows")
                self._lock()
                self._begin()
        except BaseException:
            self.close()
            if fresh:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _opened(self, name: str) -> FileIO:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        file = os.open(self.folder / name, flags, 0o666)
        return self._files.enter_context(FileIO(file, "r+b"))

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WriteError(
                f"{self._target.name}: another process is working on it, in {self.folder}"
            ) from error

    def _begin(self) -> None:
        """Take over what is there, or start the job."""
        for leftover in self.folder.glob(".drht-*"):  # of a killed run
            leftover.unlink()
        described = self.folder / "job.json"
        if not described.exists():
            with replacing(described) as partial:
                partial.write_text(json.dumps(self._job, indent=1))
        self._require_same(json.loads(described.read_text()))
        try:
            self.scene = Scene.load(self.folder / "scene.safetensors")
            self._take_over()
        except ReadError:  # killed before its survey was made: no row can be there
            self._journal.truncate(0)
            reserve(self._rows.fileno(), self.shape[0] * self._row_bytes)

    def _require_same(self, found: Job) -> None:
        wanted = json.loads(json.dumps(self._job))
        differ = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
        if differ:
            raise WriteError(
                f"{self._target.name}: {self.folder} holds rows of another job (another "
                f"{', '.join(differ)}); finish that one, or remove the folder"
            )

    def _take_over(self) -> None:
        """Find the rows that are whole: those that the journal names and whose checksums hold."""
        good = 0
        for line in self._journal.readall().splitlines(keepends=True):
            try:
                bottom, crc = (int(word) for word in line.split())
            except ValueError:
                break
            whole = line.endswith(b"\n") and self.done < bottom <= self.shape[0]
            if not whole or self._checksum(self.done, bottom) != crc:
                break
            self.done, good = bottom, good + len(line)
        self._journal.truncate(good)
        self._journal.seek(good)
        self._given = self.done

    def _checksum(self, top: int, bottom: int) -> int:
        crc, left = 0, (bottom - top) * self._row_bytes
        self._rows.seek(top * self._row_bytes)
        while left:
            data = self._rows.read(min(_CHUNK_BYTES, left))
            if not data:
                return -1
            crc, left = zlib.crc32(data, crc), left - len(data)
        return crc

    def keep_scene(self, scene: Scene) -> None:
        """Store the job's survey.

        Raises:
            WriteError: it cannot be stored.
        """
        scene.save(self.folder / "scene.safetensors")
        self.scene = scene

    def __setitem__(self, rows: slice, pixels: npt.NDArray[Any]) -> None:
        """Store the next rows; those that are stored already are left out.

        Raises:
            WriteError: they cannot be stored.
        """
        fresh = np.ascontiguousarray(pixels[max(self._given - rows.start, 0) :])
        if not len(fresh):
            return
        data = memoryview(fresh.data).cast("B")
        with self._storing():
            self._rows.seek(self._given * self._row_bytes)
            self._crc = zlib.crc32(data, self._crc)
            while len(data):
                data = data[self._rows.write(data) or 0 :]
            self._given = rows.stop
            if self._given == self.shape[0] or time.monotonic() - self._told >= _SECONDS:
                os.fsync(self._rows.fileno())
                self._journal.write(b"%d %d\n" % (self._given, self._crc))
                os.fsync(self._journal.fileno())
                self.done, self._crc, self._told = self._given, 0, time.monotonic()

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        """Finished rows `top:bottom`.

        Raises:
            WriteError: they cannot be read any more.
        """
        top, bottom, _ = rows.indices(self.done)
        out = np.empty((bottom - top, *self.shape[1:]), self.dtype)
        view = memoryview(out.data).cast("B")
        with self._storing():
            self._rows.seek(top * self._row_bytes)
            while len(view):
                count = self._rows.readinto(view)
                if not count:
                    raise OSError("its rows have become fewer")
                view = view[count:]
        return out

    def remove(self) -> None:
        """Remove all of it."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Let it go as it is."""
        self._files.close()

    @contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WriteError(
                f"{self._target.name}: its rows cannot be kept in {self.folder}: "
                f"{error.strerror or error}"
            ) from error


def folder_of(target: Path) -> Path:
    """Where the rows of a target are kept."""
    real = Path(os.path.realpath(target))
    return real.with_name(f".{real.name}.drht-resume")


@contextmanager
def open_resumable(
    target: Path, job: Job, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Iterator[ResumableRows]:
    """Open the rows of a job, of an earlier run where there was one.

    Args:
        target: what the job writes.
        job: what it is, as JSON can hold it: of another one no row may be used.
        shape, dtype: of the picture.

    Yields:
        The scratch. What ends the body otherwise than well leaves finished rows for the next run,
        and a note on the exception says so.

    Raises:
        WriteError: the folder holds another job, or belongs to a running one; no room on the disk.
    """
    scratch = ResumableRows(target, job, shape, dtype)
    try:
        yield scratch
    except BaseException as error:
        if scratch.done:
            error.add_note(
                f"{scratch.done} of {shape[0]} rows are kept in {scratch.folder}; the same call "
                "goes on from there"
            )
            scratch.close()
        else:
            scratch.remove()
        raise
    scratch.remove()
