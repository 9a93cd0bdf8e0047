"""Kill `drht correct` at random moments, and see that the next run leaves no trace of it.

``python -m tests.kills --count 40`` takes some minutes and prints a line for each kill.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drht_plugin import io
from drht_plugin.io.metadata.types import Carrier

PICTURES = {os.fsdecode(b"a\xe9.tif"): (3000, 300), "b.png": (500, 700), "c.jpg": (600, 400)}
"""Names of the pictures, one of them not UTF-8, with their height and width."""

SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT", "SIGKILL")

RUN = """
import sys
import time
from drht_plugin import cli, resume
if "--stub" in sys.argv:
    sys.argv.remove("--stub")
    from strategies import corrector
    from drht_plugin.engine import corrector as engine
    stub = corrector()
    engine.Corrector = lambda **_: stub
resume._JOURNAL_SECONDS = 0.0
store = resume.ResumableRows.__setitem__
def slowly(self, rows, pixels):
    store(self, rows, pixels)
    time.sleep(0.03)
resume.ResumableRows.__setitem__ = slowly
print("ready", file=sys.stderr, flush=True)
sys.exit(cli.main())
"""
"""The command, with a disk so slow that kills find rows in the journal."""


@dataclass(frozen=True)
class Outcome:
    """What one kill came to.

    Attributes:
        signal: its name.
        resumed: whether the run was one with --resume.
        seconds: from the begin of work to the kill.
        code: the run's exit code.
        journalled: lines in the journal that the killed run left.
        left: files of the killed run that are neither results nor inputs.
        faults: what is wrong, in words.
    """

    signal: str
    resumed: bool
    seconds: float
    code: int
    journalled: int
    left: int
    faults: tuple[str, ...]


class Bench:
    """Pictures, the command on them, and what an undisturbed run makes of them.

    Args:
        folder: an empty folder.
        stub: whether to run with a quick stand-in for the networks.
    """

    def __init__(self, folder: Path, *, stub: bool) -> None:
        self._inputs, self.work, self._stub = folder / "inputs", folder / "work", stub
        self._temporary = folder / "temporary"
        for name in SIGNALS[:-1]:  # those that are ignored here would be ignored there
            if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
                signal.signal(getattr(signal, name), signal.SIG_DFL)
        self._inputs.mkdir()
        self._temporary.mkdir()
        random_ = np.random.default_rng(1)
        for name, (height, width) in PICTURES.items():
            ramp = np.linspace(5, 90, height)[:, None, None] + np.zeros((1, width, 3))
            codes = (ramp + random_.normal(0, 3, ramp.shape)).clip(0, 255).astype(np.uint8)
            picture = io.Picture(codes, "srgb", Carrier("png"))
            io.write_picture(self._inputs / name, codes, picture)
        self.expected: dict[bool, dict[str, bytes]] = {}
        self._seconds, self._lines = 1e9, 2
        for resumed in (False, True):
            self.restore()
            told = self._run(resumed=resumed)
            assert told == (0, "ready\n"), told
            self.expected[resumed] = self.files()

    def _run(self, *, resumed: bool) -> tuple[int, str]:
        """Run undisturbed, and learn how long that takes; the exit code and what was printed."""
        process = self.start(resumed=resumed)
        assert process.stderr is not None
        begin = process.stderr.readline()
        start = time.monotonic()
        while process.poll() is None:
            self._lines = max(self._lines, self._journalled())
            time.sleep(0.005)
        if not resumed:
            self._seconds = min(self._seconds, time.monotonic() - start)
        return process.returncode, begin + process.communicate()[1]

    def _journalled(self) -> int:
        """How many lines the journal has."""
        found = 0
        with suppress(FileNotFoundError):
            for path in self.work.glob(".*/journal"):
                found += len(path.read_bytes().splitlines())
        return found

    def _wait(self, process: subprocess.Popen[str], chance: random.Random, lines: int) -> None:
        """Wait for a random moment, or until the journal has some lines and a moment more."""
        if not lines:
            time.sleep(chance.random() * self._seconds)
            return
        while process.poll() is None and self._journalled() < lines:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.1)

    def restore(self) -> None:
        """Have the inputs alone in the folder of work."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self._inputs, self.work)  # with times, by which rows know their source

    def files(self) -> dict[str, bytes]:
        """All files in the folder of work."""
        return {
            str(path.relative_to(self.work)): path.read_bytes()
            for path in self.work.rglob("*")
            if path.is_file()
        } | {f"{path.relative_to(self.work)}/": b"" for path in self.work.rglob("*/")}

    def start(self, *, resumed: bool) -> subprocess.Popen[str]:
        """Start the command."""
        options = ["--resume", "--memory", "1M"] if resumed else ["--hdr"]
        # One picture that takes long, or several that are soon done.
        names = list(PICTURES)[:1] if resumed else list(PICTURES)
        arguments = [*(["--stub"] if self._stub else []), "correct", *names]
        here = Path(__file__).parent
        path = os.pathsep.join([str(here), str(here.parent), *filter(None, sys.path)])
        return subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments, "--quiet", "--overwrite", *options],
            cwd=self.work,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(self._temporary)},
            start_new_session=True,
        )

    def kill(self, name: str, *, resumed: bool, chance: random.Random) -> Outcome:
        """Kill a run at a random moment, run it again, and compare."""
        self.restore()
        process = self.start(resumed=resumed)
        assert process.stderr is not None
        begun = process.stderr.readline() == "ready\n"
        start = time.monotonic()
        self._wait(process, chance, chance.randrange(1, self._lines) if resumed else 0)
        seconds = time.monotonic() - start
        process.send_signal(getattr(signal, name))
        _, told = process.communicate(timeout=120)
        journalled = self._journalled()
        expected, found = self.expected[resumed], self.files()
        left = len(found.keys() - expected.keys())
        number = int(getattr(signal, name))
        faults = [] if begun else ["the run did not start"]
        orderly = 0 if name == "SIGKILL" else 128 + number
        if process.returncode not in (0, -number, orderly):
            faults.append(f"exit code {process.returncode}")
        if process.returncode == 0 and found != expected:
            faults.append("the run says that it is done, and is not")
        if "Traceback" in told:
            faults.append(told)
        if left and process.returncode == orderly and not journalled:
            faults.append(f"left behind: {sorted(found.keys() - expected.keys())}")
        faults += [
            f"{path} is not whole"
            for path in found.keys() & expected.keys()
            if found[path] != expected[path]
        ]
        following = self._run(resumed=resumed)
        if following != (0, "ready\n"):
            faults.append(f"the next run: {following}")
        found = self.files()
        faults += [
            f"after the next run, {path} differs"
            for path in sorted(found.keys() | expected.keys())
            if found.get(path) != expected.get(path)
        ]
        faults += [f"{path} is left" for path in self._temporary.iterdir()]
        if _is_alive(process.pid):
            faults.append("a child process is left")
        return Outcome(name, resumed, seconds, process.returncode, journalled, left, tuple(faults))


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def kill_many(count: int, seed: int, folder: Path, *, stub: bool) -> Iterator[Outcome]:
    """Kill runs by each signal in turn, every other one with --resume.

    Args:
        count: number of kills.
        seed: of the moments.
        folder: an empty folder.
        stub: whether to run with a quick stand-in for the networks.
    """
    chance = random.Random(seed)
    bench = Bench(folder, stub=stub)
    for index in range(count):
        turn, each = divmod(index, len(SIGNALS))
        yield bench.kill(SIGNALS[each], resumed=(turn + each) % 2 == 1, chance=chance)


def main() -> int:
    """Kill by hand; the exit code says whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="number of kills")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--stub", action="store_true", help="run without networks, quickly")
    options = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for each in kill_many(options.count, options.seed, Path(folder), stub=options.stub):
            outcomes.append(each)
            kind = "resumed" if each.resumed else "plain"
            words = "; ".join(each.faults) or "well"
            print(
                f"{each.signal:7} {kind:7} after {each.seconds:5.2f} s: code {each.code:4}, "
                f"{each.journalled:3} journal lines, {each.left} files left; {words}",
                flush=True,
            )
    bad = sum(bool(each.faults) for each in outcomes)
    rows = sum(bool(each.journalled) for each in outcomes)
    print(f"{len(outcomes)} kills, {rows} with rows in the journal, {bad} with faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
