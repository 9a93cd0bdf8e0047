"""Run inputs in a child process: start it, hold it to its time, and see what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import limits
from .inputs import Case

ROOT = Path(__file__).parents[2]

GOOD = ("done", "refused")
"""Verdicts of inputs that were taken as they should be; all others are faults."""


@dataclass(frozen=True)
class Verdict:
    """What became of a case.

    Attributes:
        name: "done", "refused"; or a fault: "crash", "hang", "memory", "traceback", "unclear" (an
            error that does not name its file, or has several lines), "wrong", "leftover" or
            "changed".
        why: the error's words.
        seconds: that it took.
    """

    name: str
    why: str
    seconds: float


class Child:
    """A child process that takes one case after the other, and is started anew when it dies."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        parent = memory if memory.is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="drht-fuzz-", dir=parent)
        self._log = open(Path(self._folder.name) / "log", "w+b")  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None
        self._read = b""

    def take(self, case: Case) -> Verdict:
        """Give a case to the child, and judge what it does."""
        place = Path(self._folder.name) / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name, data in case.files.items():
            (place / name).write_bytes(data)
        given = _digests(place)
        first = place / next(iter(case.files))
        start = time.monotonic()
        name, why = self._ask({"kind": case.kind, "path": str(first)})
        seconds = time.monotonic() - start
        if name in GOOD and case.kind != "journal":
            left = _digests(place)
            changed = [file for file in given if left.get(file) != given[file]]
            fresh = {file for file in left if file not in given}
            expected = {f for f in fresh if f.startswith("out.")} if name == "done" else set()
            if changed:
                name, why = "changed", ", ".join(changed)
            elif fresh != expected:
                name, why = "leftover", ", ".join(sorted(fresh))
        return Verdict(name, why, seconds)

    def _ask(self, request: dict[str, str]) -> tuple[str, str]:
        process = self._started()
        assert process.stdin
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        deadline = time.monotonic() + limits.SECONDS
        while True:
            answer = self._answer(deadline)
            if answer is None:
                code = process.poll()
                self.close_process()
                if code is None:
                    return "hang", f"no answer {limits.SECONDS:.0f} s after what it needs"
                return "crash", f"exit code {code}: {self._end_of_log()}"
            if "verdict" in answer:
                return str(answer["verdict"]), str(answer["why"])
            deadline += float(str(answer["seconds"]))

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._read = b""
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.child"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=_environment(),
            )
            if self._answer(time.monotonic() + 120) is None:
                raise RuntimeError(f"the child does not start: {self._end_of_log()}")
        return self._process

    def _answer(self, deadline: float) -> dict[str, object] | None:
        """Return the child's next line; None if it ends, or the time is over."""
        assert self._process
        assert self._process.stdout
        output = self._process.stdout.fileno()
        while b"\n" not in self._read:
            ready, _, _ = select.select([output], [], [], max(deadline - time.monotonic(), 0))
            part = os.read(output, 1 << 16) if ready else b""
            if not part:
                if ready:
                    self._process.wait()
                return None
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        answer: dict[str, object] = json.loads(line)
        return answer

    def _end_of_log(self) -> str:
        self._log.seek(0)
        return self._log.read()[-300:].decode(errors="replace")

    def close_process(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe
                pipe.close()
            self._process = None

    def close(self) -> None:
        """End the child and remove its folder."""
        self.close_process()
        self._log.close()
        self._folder.cleanup()


def _environment() -> dict[str, str]:
    places = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "io")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places), "MALLOC_ARENA_MAX": "2"}


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }
