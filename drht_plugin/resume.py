"""Store finished rows of a long job beside its target, so that a killed job can be resumed.

A folder `.TARGET.drht-resume` holds:

- `job.json`: the job's source, model and settings;
- `scene.safetensors`: the survey;
- `rows`: raw pixels;
- `journal`: lines of "rows crc": the number of rows on the disk, and the CRC-32 of those added
  since the line before;
- the unfinished target, while it is written.

Rows reach the disk before the journal counts them, so that the journal holds after a crash of the
process or the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.scene import Scene
from drht_plugin.errors import ReadError, WriteError
from drht_plugin.storage import BusyError, PrivateFolder, read_json_object, replacing, reserve

Job = dict[str, Any]

_JOURNAL_SECONDS = 1.0
"""Least time between two lines of the journal, as each waits for the disk (seconds)."""

_JOURNAL_BYTES = 1 << 26
"""Greatest size of a journal that is read: a line for each of a million rows, and spare."""

_JOURNAL_LINE = re.compile(rb"(\d{1,18}) (\d{1,10})\n")
_TORN_LINE = re.compile(rb"[\d \0]*\n?")
"""What a crash leaves of a line: a part of it, or zeros."""

_NAME_BYTES = 230
"""Longer names of targets are shortened for their folder (bytes)."""

_HEAD_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 23


def source_identity(path: Path) -> Job:
    """Return what identifies a state of a file: size, modification time, SHA-256 of its head."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
    return {"size": status.st_size, "modified": status.st_mtime_ns, "head": head}


class ResumableRows:
    """Stored rows of one job: a sink for new rows, a source of finished ones.

    Made by `open_resumable`.

    Attributes:
        folder: where the rows are stored.
        shape: H×W×C of the whole picture.
        dtype: of the pixels.
        done: number of finished rows, counted from the first.
        scene: the job's survey; None until it is made.
    """

    def __init__(
        self, target: Path, job: Job, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._target, self._job = target, job
        self.shape, self.dtype = shape, dtype
        self.folder = resume_folder(target)
        self.done = self._stored = 0
        self.scene: Scene | None = None
        self._row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        self._crc = 0
        self._journal_time = time.monotonic()
        with self._named_errors():
            self._private = PrivateFolder(self.folder, create=True)
        try:
            with self._named_errors():
                self._journal = self._private.open("journal")
                self._rows = self._private.open("rows")
                self._resume_or_start()
        except BaseException:
            if self._private.fresh:
                self.remove()
            self.close()
            raise

    def _resume_or_start(self) -> None:
        """Recover what an earlier run has stored, or start the job."""
        for leftover in self.folder.glob(".drht-*"):  # of a killed run
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        job_file = self.folder / "job.json"
        if not self._private.require_own(job_file.name):
            with replacing(job_file) as partial:
                partial.write_text(json.dumps(self._job, indent=1))
        try:
            self._require_same(read_json_object(job_file))
        except ValueError as error:
            raise self._damaged(job_file, str(error)) from error
        scene_file = self.folder / "scene.safetensors"
        self._private.require_own(scene_file.name)
        try:
            self.scene = Scene.load(scene_file)
        except ReadError:  # the earlier run ended before its survey: there are no rows
            self._journal.truncate(0)
            reserve(self._rows.fileno(), self.shape[0] * self._row_bytes)
        else:
            self._recover_rows()

    def _damaged(self, path: Path, reason: str) -> WriteError:
        return WriteError(f"{self._target.name}: {path} is damaged ({reason}); remove the folder")

    def _require_same(self, found: Job) -> None:
        wanted = json.loads(json.dumps(self._job))
        differ = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
        if differ:
            raise WriteError(
                f"{self._target.name}: {self.folder} holds rows of another job (another "
                f"{', '.join(differ)}); finish that job, or remove the folder"
            )

    def _recover_rows(self) -> None:
        """Count the rows that the journal names and whose checksums are right."""
        try:
            entries = parse_journal(self._journal.read(_JOURNAL_BYTES + 1), self.shape[0])
        except ValueError as error:
            raise self._damaged(self.folder / "journal", str(error)) from error
        good = 0
        for bottom, crc, length in entries:
            if self._checksum(self.done, bottom) != crc:
                break
            self.done, good = bottom, good + length
        self._journal.truncate(good)
        self._journal.seek(good)
        self._stored = self.done

    def _checksum(self, top: int, bottom: int) -> int:
        crc, left = 0, (bottom - top) * self._row_bytes
        self._rows.seek(top * self._row_bytes)
        while left:
            data = self._rows.read(min(_CHUNK_BYTES, left))
            if not data:
                return -1
            crc, left = zlib.crc32(data, crc), left - len(data)
        return crc

    def store_scene(self, scene: Scene) -> None:
        """Store the job's survey.

        Raises:
            WriteError: the survey cannot be stored.
        """
        scene.save(self.folder / "scene.safetensors")
        self.scene = scene

    def __setitem__(self, rows: slice, pixels: npt.NDArray[Any]) -> None:
        """Store the next rows; rows that are already stored are skipped.

        Args:
            rows: `top:bottom`, with `top` at most the number of rows stored so far.
            pixels: R×W×C of the picture's dtype.

        Raises:
            WriteError: the rows cannot be stored.
        """
        fresh = np.ascontiguousarray(pixels[max(self._stored - rows.start, 0) :])
        if not len(fresh):
            return
        data = memoryview(fresh.data).cast("B")
        with self._named_errors():
            self._rows.seek(self._stored * self._row_bytes)
            self._crc = zlib.crc32(data, self._crc)
            while len(data):
                data = data[self._rows.write(data) or 0 :]
            self._stored = rows.stop
            waited = time.monotonic() - self._journal_time
            if self._stored == self.shape[0] or waited >= _JOURNAL_SECONDS:
                os.fsync(self._rows.fileno())
                self._journal.write(b"%d %d\n" % (self._stored, self._crc))
                os.fsync(self._journal.fileno())
                self.done, self._crc, self._journal_time = self._stored, 0, time.monotonic()

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        """Return finished rows `top:bottom`, R×W×C.

        Raises:
            WriteError: the rows can no longer be read.
        """
        top, bottom, _ = rows.indices(self.done)
        out = np.empty((bottom - top, *self.shape[1:]), self.dtype)
        view = memoryview(out.data).cast("B")
        with self._named_errors():
            self._rows.seek(top * self._row_bytes)
            while len(view):
                count = self._rows.readinto(view)
                if not count:
                    raise OSError("rows are missing from the file")
                view = view[count:]
        return out

    def remove(self) -> None:
        """Remove the folder, and close the files."""
        self._private.remove()

    def close(self) -> None:
        """Close the files and leave them for a later run."""
        self._private.close()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except BusyError as error:
            raise WriteError(
                f"{self._target.name}: another process is working on it, in {self.folder}"
            ) from error
        except OSError as error:
            raise WriteError(
                f"{self._target.name}: finished rows cannot be stored in {self.folder}: "
                f"{error.strerror or error}"
            ) from error


def parse_journal(data: bytes, height: int) -> list[tuple[int, int, int]]:
    """Read the lines of a journal; the last one may be incomplete or damaged, as after a crash.

    Args:
        data: the journal.
        height: rows of the picture.

    Returns:
        For each line the rows up to which it counts, their CRC-32, and the line's length in bytes.

    Raises:
        ValueError: it is no journal, or is damaged before its last line; the message says where.
    """
    entries: list[tuple[int, int, int]] = []
    if len(data) > _JOURNAL_BYTES:
        raise ValueError(f"it has more than {_JOURNAL_BYTES} bytes")
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        found = _JOURNAL_LINE.fullmatch(line)
        if found and (entries[-1][0] if entries else 0) < int(found[1]) <= height:
            entries.append((int(found[1]), int(found[2]), len(line)))
        elif number < len(lines) or not (entries or _TORN_LINE.fullmatch(line)):
            raise ValueError(f"line {number} is {line[:40]!r}")
    return entries


def resume_folder(target: Path) -> Path:
    """Return the folder that stores the rows of a target."""
    real = Path(os.path.realpath(target))
    name, end = real.name, ".drht-resume"
    if len(os.fsencode(name)) > _NAME_BYTES:
        # The disk takes no longer names; the digest tells apart those that begin alike.
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        begin = os.fsencode(name)[: _NAME_BYTES - len(digest) - 1].decode(errors="ignore")
        name = f"{begin}~{digest}"
    return real.with_name(f".{name}{end}")


def remove_rows(target: Path) -> None:
    """Remove the rows of a killed run for a target that is whole now, unless they are in use."""
    with suppress(OSError):
        PrivateFolder(resume_folder(target), create=False).remove()


@contextmanager
def open_resumable(
    target: Path, job: Job, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Iterator[ResumableRows]:
    """Open the stored rows of a job, including those of an earlier run.

    When the body ends well, the rows are removed. When it raises, finished rows are left for the
    next run, and a note on the exception says so.

    Args:
        target: file that the job writes.
        job: source, model and settings, as JSON can hold them. Rows of a job that differs are
            refused.
        shape: H×W×C of the picture.
        dtype: of the picture.

    Yields:
        The stored rows.

    Raises:
        WriteError: the folder holds another job, is damaged or in use by a running job, is a link
            or another user's, or the disk is full.
    """
    rows = ResumableRows(target, job, shape, dtype)
    try:
        yield rows
    except BaseException as error:
        if rows.done:
            error.add_note(
                f"{rows.done} of {shape[0]} rows are stored in {rows.folder}; repeat the same "
                "call to continue from there"
            )
            rows.close()
        else:
            rows.remove()
        raise
    rows.remove()
