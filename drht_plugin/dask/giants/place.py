"""Where a result is made until it is whole, and what is noted of it meanwhile.

A local result is made in the folder `.NAME.drht-resume` beside it, and renamed. Elsewhere there is
no rename of many objects: it is made in its place, and the metadata of its group, without which
nothing opens it, are written last. What is noted lies in `.drht-resume` within it until then:

- `job.json`: the job's source, model and settings;
- `run`: which run makes it now, so that tasks that a run has left behind write nothing more;
- `scene.safetensors`: the survey;
- `done/`: an empty file for each region and shard that is finished.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from drht_plugin.dask.giants.address import Address
from drht_plugin.engine.scene import Scene
from drht_plugin.errors import ReadError, WriteError
from drht_plugin.resume import resume_folder
from drht_plugin.storage import BusyError, PrivateFolder, parse_json

NOTES = ".drht-resume"
"""Folder of what is noted, in a result that is made in its place."""

_JOB, _RUN, _SCENE, _DONE = "job.json", "run", "scene.safetensors", "done"

_UNFINISHED = ".partial"
"""End of the names of files that zarr writes; a process that is killed leaves the last one."""

_TRIES, _PAUSE = 5, 0.2
"""How often removing is tried, and the seconds between."""


@dataclass(frozen=True)
class Place:
    """Where a result is made; small enough to be sent to workers.

    Attributes:
        target: address of the result.
        image: of the group while it is made.
        notes: of what is noted.
    """

    target: Address
    image: Address
    notes: Address

    @classmethod
    def of(cls, target: Address) -> Place:
        """Return the place of a target."""
        if target.path is None:
            return cls(target, target, target.child(NOTES))
        notes = Address(str(resume_folder(target.path)))
        return cls(target, notes.child("new"), notes)

    @property
    def noted(self) -> Path | None:
        """A local file that is there while the result is made; None elsewhere."""
        return self.notes.child(_RUN).path

    def mark(self, name: str) -> None:
        """Note that a part is finished."""
        self.notes.child(f"{_DONE}/{name}").write_bytes(b"")

    def require_open(self, run: str) -> None:
        """Check that a run still goes on: tasks of a cluster may outlive it.

        Raises:
            WriteError: it has ended.
        """
        with suppress(FileNotFoundError):
            if self.notes.child(_RUN).read_bytes() == run.encode():
                return
        raise WriteError(f"{self.target.text}: is not being made any more")

    def finished(self) -> set[str]:
        """Return the names of finished parts."""
        return self.notes.child(_DONE).names()

    def store_scene(self, scene: Scene) -> None:
        """Note the survey."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _SCENE
            scene.save(path)
            self.notes.child(_SCENE).write_bytes(path.read_bytes())

    def scene(self) -> Scene | None:
        """Return the survey; None if there is none yet, or the end of it is missing."""
        try:
            data = self.notes.child(_SCENE).read_bytes()
        except FileNotFoundError:
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _SCENE
            path.write_bytes(data)
            try:
                return Scene.load(path)
            except ReadError:
                return None


@lru_cache(maxsize=4)
def shared_scene(place: Place, token: str) -> Scene:
    """Return a job's survey, read once in each process.

    Args:
        place: of the job.
        token: of the job.

    Raises:
        ReadError: it is missing.
    """
    scene = place.scene()
    if scene is None:
        raise ReadError(f"{place.notes.text}: holds no survey; was it removed during the job?")
    return scene


@contextmanager
def open_place(
    target: Address, job: Mapping[str, Any], run: str, *, resume: bool
) -> Iterator[Place]:
    """Open the place of a result, with what an earlier run has finished.

    When the body raises, all of it is removed; with `resume`, it is left for the next run, and a
    note on the exception says so. When it ends well, the notes are removed.

    Args:
        target: address of the result.
        job: what decides the result, as JSON can hold it. Notes of a job that differs are refused.
        run: tells this run from others, of the same job too.
        resume: whether to go on with an earlier run, and to leave notes for a later one.

    Raises:
        WriteError: it holds another job, is in use by a running job, or cannot be written.
    """
    place = Place.of(target)
    with _locked(place, create=True):
        with _named_errors(target):
            if not resume:
                _clear(place)
            _require_job(place, json.loads(json.dumps(job)))
            place.notes.child(_RUN).write_bytes(run.encode())
        try:
            yield place
        except BaseException as error:
            if not (resume and _has_begun(place)):
                _discard(place)
            else:
                error.add_note(
                    f"finished blocks are kept in {place.notes.text}; repeat the same call to "
                    "continue from there"
                )
            raise
        _remove_folder(place)


def put(place: Place) -> None:
    """Move a local result that is whole to its name; one that is there is replaced.

    Raises:
        WriteError: it cannot be moved.
    """
    new, target = place.image.path, place.target.path
    if new is None or target is None:
        return
    real, old = Path(os.path.realpath(target)), new.with_name("replaced")
    with _named_errors(place.target):
        for left in new.rglob(f"*{_UNFINISHED}"):
            left.unlink(missing_ok=True)
        replaces = os.path.lexists(real)
        if replaces:  # a folder with files in it cannot be renamed over
            os.rename(real, old)
        try:
            os.rename(new, real)
        except OSError:
            if replaces:
                os.rename(old, real)
            raise


@contextmanager
def _locked(place: Place, *, create: bool) -> Iterator[None]:
    folder = place.notes.path
    if folder is None:
        yield
        return
    try:
        held = PrivateFolder(folder, create=create)
    except BusyError as error:
        raise WriteError(
            f"{place.target.text}: another process is working on it, in {folder}"
        ) from error
    except OSError as error:
        raise WriteError(
            f"{place.target.text}: cannot be written: {error.strerror or error}"
        ) from error
    try:
        yield
    finally:
        held.close()


def _require_job(place: Place, job: dict[str, Any]) -> None:
    """Note the job, or check that it is the one that was noted."""
    note = place.notes.child(_JOB)
    try:
        found = parse_json(note.read_bytes())
    except FileNotFoundError:
        note.write_bytes(json.dumps(job, indent=1).encode())
        return
    except ValueError as error:
        raise WriteError(
            f"{place.target.text}: {note.text} is damaged ({error}); remove the folder"
        ) from error
    known = found if isinstance(found, dict) else {}
    differ = sorted(key for key in {*known, *job} if known.get(key) != job.get(key))
    if differ:
        raise WriteError(
            f"{place.target.text}: {place.notes.text} holds blocks of another job (another "
            f"{', '.join(differ)}); finish that job, or remove the folder"
        )


def _clear(place: Place) -> None:
    """Remove what was made so far, but for the locked folder itself."""
    if place.notes.path is None:
        place.image.remove()
        return
    for name in place.notes.names():
        place.notes.child(name).remove()


def _has_begun(place: Place) -> bool:
    """Return whether there are finished parts; where that cannot be known, there may be."""
    try:
        return bool(place.finished())
    except Exception:
        return True


def _discard(place: Place) -> None:
    """Remove all, even while tasks of a lost cluster end that write to it."""
    for _ in range(_TRIES):
        with suppress(Exception):  # each file system has errors of its own
            _clear(place)
            break
        time.sleep(_PAUSE)
    _remove_folder(place)


def _remove_folder(place: Place) -> None:
    with suppress(Exception):  # what is left there does no harm
        place.notes.remove()


@contextmanager
def _named_errors(target: Address) -> Iterator[None]:
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(f"{target.text}: cannot be written: {error.strerror or error}") from error
