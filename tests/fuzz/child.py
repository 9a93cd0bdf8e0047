"""The process that takes the inputs, one after the other; see `children`.

It reads a line of JSON for each input and answers with lines of JSON. Its memory is limited to what
it has when it is warm and `limits.MEMORY`, and so much more as the picture needs itself.
"""

from __future__ import annotations

import contextlib
import io as streams
import json
import os
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from drht_plugin import Corrector, correct_file, io
from drht_plugin.colour.spaces import space_of
from drht_plugin.engine.weigh import Correctors
from drht_plugin.errors import DrhtError, FileError, InputError
from drht_plugin.model.runner import Runner
from drht_plugin.resume import open_resumable, resume_folder
from drht_plugin.worker import frames
from drht_plugin.worker.pictures import PictureStore
from drht_plugin.worker.session import ProtocolError, Session

from . import limits
from .judge import complaint

_MOST_SAMPLES = 1 << 22
"""Larger pictures are decoded, as far as the time goes, and not corrected."""

_READ_SAMPLES = 1 << 26
_ROWS = 64


def main() -> None:
    """Answer inputs until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to the log
    corrector = _correctors().for_work(1)
    corrector.correct(np.full((40, 40, 3), 60, np.uint8))
    corrector.correct(np.full((40, 40, 3), 0.5, np.float32))
    base = _address_space()
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        _limit(base + limits.MEMORY)
        request = json.loads(line)
        grow = partial(_allow, base, answers.write)
        answer = _outcome(Path(request["path"]), request["kind"], corrector, grow)
        _limit(resource.RLIM_INFINITY)
        answers.write(json.dumps(answer) + "\n")


@cache
def _correctors() -> Correctors:
    return Correctors(device="cpu")


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def _allow(base: int, tell: Callable[[str], object], samples: int) -> None:
    """Allow what a picture of so many samples needs itself."""
    memory, seconds = limits.needed(samples)
    _limit(base + limits.MEMORY + memory)
    tell(json.dumps({"seconds": seconds}) + "\n")


Grow = Callable[[int], None]


def _outcome(path: Path, kind: str, corrector: Corrector, grow: Grow) -> dict[str, Any]:
    """Take an input; return its verdict: "done", "refused", or what is wrong."""
    take: dict[str, Callable[[Path, Corrector, Grow], str]] = {
        "picture": _picture,
        "profile": _profile,
        "weights": _weights,
        "journal": _journal,
        "worker": _worker,
        "broken": _break,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrong = take[kind](path, corrector, grow)
    except MemoryError:
        return {"verdict": "memory", "why": traceback.format_exc(limit=-3)}
    except DrhtError as error:
        if isinstance(error.__cause__, MemoryError):
            return {"verdict": "memory", "why": traceback.format_exc(limit=-6)}
        named = not isinstance(error, FileError) or path.name in str(error)
        why = f"{type(error).__name__}: {error}"
        if "\n" in str(error):
            return {"verdict": "unclear", "why": why}
        return {"verdict": "refused" if named else "unclear", "why": why}
    except Exception:
        return {"verdict": "traceback", "why": traceback.format_exc(limit=-6)}
    return {"verdict": "wrong" if wrong else "done", "why": wrong}


def _picture(path: Path, corrector: Corrector, grow: Grow) -> str:
    with io.open_picture(path) as picture:
        samples = int(np.prod(picture.shape, dtype=np.float64))
        grow(min(samples, _READ_SAMPLES) if not picture.whole else samples)
        if samples > _MOST_SAMPLES:
            row = max(picture.shape[1] * picture.shape[2], 1)
            for top in range(0, min(picture.shape[0], _READ_SAMPLES // row), _ROWS):
                _ = picture[top : min(top + _ROWS, picture.shape[0])]
            return ""
    writable = path.suffix in io.writable_suffixes()
    target = path.with_name(f"out{path.suffix if writable else '.png'}")
    correct_file(path, target, corrector=corrector, strength=0)
    return complaint(path, target) if writable else ""


def _profile(path: Path, corrector: Corrector, _grow: Grow) -> str:
    data = path.read_bytes()
    for colours in (1, 3):
        try:
            space = space_of(data, colours=colours, linear=False)
        except InputError:
            continue
        codes = np.linspace(0, 1, 8 * colours, dtype=np.float32).reshape(-1, 1, colours)
        light = space.decode(codes)
        if not np.isfinite(space.encode(light)).all():
            return "codes are not finite"
        if colours == 3:
            corrector.correct(np.full((40, 40, 3), 60, np.uint8), profile=data)
    return ""


def _weights(path: Path, _corrector: Corrector, _grow: Grow) -> str:
    model = next(path.parent.glob("*.safetensors"))
    y, corrected = Runner(model, "cpu")(np.full((32, 32, 3), 0.5, np.float32))
    return "" if np.isfinite(y).all() and np.isfinite(corrected).all() else "not finite"


def _journal(path: Path, _corrector: Corrector, _grow: Grow) -> str:
    target = path.parent / "a.tif"
    folder = resume_folder(target)
    folder.mkdir()
    for file in list(path.parent.iterdir()):
        if file.is_file():
            file.rename(folder / file.name)
    # An error of a journal names the target, not the file that is broken.
    try:
        with open_resumable(target, _JOB, (16, 8, 3), np.dtype(np.uint8)) as rows:
            if not 0 <= rows.done <= 16:
                return f"{rows.done} of 16 rows"
            if rows.done:
                _ = rows[0 : rows.done]
    except FileError as error:
        return "" if "a.tif" in str(error) else f"does not name the target: {error}"
    return ""


_JOB = {"source": {"size": 1}, "rows": ["uint8", 16, 8, 3]}


def _worker(path: Path, _corrector: Corrector, _grow: Grow) -> str:
    replies: list[frames.Message] = []
    store = PictureStore(1 << 24)
    log = streams.StringIO()
    stream = streams.BytesIO(path.read_bytes())
    try:
        session = Session(_correctors(), "default", store, replies.append)
        with contextlib.redirect_stderr(log):
            while (message := frames.read(stream.read)) is not None:
                session.handle(message)
                frames.encode(replies[-1])
    except (frames.FrameError, ProtocolError):
        pass  # ends the worker, by a code of its own
    finally:
        store.close()
    return log.getvalue()[-1500:]


def _break(path: Path, _corrector: Corrector, _grow: Grow) -> str:
    """Do what no input should make the package do, to test that the suite sees it."""
    fault = path.read_text()
    if fault == "crash":
        os.abort()
    if fault == "hang":
        time.sleep(3600)
    if fault == "memory":
        return str(len(bytearray(limits.MEMORY + (1 << 28))))
    if fault == "changed":
        path.write_text("another text")
    if fault == "leftover":
        path.with_name(".drht-left").write_text("")
    if fault == "unclear":
        raise FileError("something is wrong")
    if fault == "traceback":
        raise IndexError("list index out of range")
    return ""


if __name__ == "__main__":
    main()
