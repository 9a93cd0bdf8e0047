"""A real GIMP that runs scripts on a profile of its own: 3.0, and 3.2 where DRHT_GIMP_32 is set.

The roots lie in .cache/gimp; tests/gimp/root.py builds them. Without one, its tests are skipped;
where DRHT_GIMP_ROOTS names the folder of the roots, as in CI, they fail instead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import root

from drht_plugin.gimp_install import install

VERSIONS = ["3.0", "3.2"] if os.environ.get("DRHT_GIMP_32") else ["3.0"]

WORKER = [sys.executable, "-I", "-m", "drht_plugin.cli", "worker"]

_HANDED_DOWN = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS"),
    *("NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR"),
)
_FEW = ("python-eval", "file-png", "file-tiff")
_GIMPRC = """\
(config-version "{version}.99")
(show-welcome-dialog no)
(check-updates no)
(restore-session no)
(save-session-info no)
(plug-in-path "{few}:${{gimp_dir}}/plug-ins")
"""
_INSIDE = Path(__file__).with_name("inside.py")


@dataclass
class Gimp:
    """GIMP of one version, on a fresh profile in a folder that host and root share.

    seconds: most that a script may take.
    environment: variables that GIMP gets besides.
    fonts: whether it loads them, for texts.
    """

    version: str
    place: Path
    folder: Path
    seconds: float = 600
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    fonts: bool = False

    @property
    def profile(self) -> Path:
        """The profile's folder."""
        return self.folder / "profile"

    def prepare(self) -> None:
        """Make the profile: no dialogs, and few plug-ins, so that GIMP starts quickly."""
        few = self.folder / "few"
        few.mkdir(parents=True)
        self.add_plug_ins(*_FEW)
        self.profile.mkdir()
        (self.profile / "gimprc").write_text(_GIMPRC.format(few=few, version=self.version))

    def add_plug_ins(self, *names: str) -> None:
        """Let GIMP have more of its own plug-ins."""
        [plug_ins] = self.place.glob("usr/lib/*/gimp/3.0/plug-ins")
        for name in names:
            link = self.folder / "few" / name
            link.symlink_to(Path("/") / plug_ins.relative_to(self.place) / name)

    def install(
        self,
        worker: Sequence[str] = WORKER,
        *,
        direct: bool = False,
        details: Sequence[str] = ("auto", "guided"),
    ) -> None:
        """Put the plug-in into the profile, with a worker of the host, or directly of the root."""
        install(self.profile, worker if direct else root.on_host(worker), details)

    def command(self, program: Sequence[str | Path], **environment: str) -> list[str]:
        """The command that runs a program in the root, on the profile."""
        settings = {"GIMP3_DIRECTORY": str(self.profile), "HOME": str(Path.home())}
        settings |= {**self.environment, **environment}
        # The worker is to compute with threads as the test does.
        for name in _HANDED_DOWN:
            settings |= {name: os.environ[name]} if name in os.environ else {}
        shared = [Path(tempfile.gettempdir()), self.folder]
        return root.command(self.place, program, shared=shared, environment=settings)

    def start(self, script: str) -> subprocess.Popen[bytes]:
        """Start GIMP's console on a script, which has the names of `inside`."""
        file = self.folder / "script.py"
        file.write_text(f"{_INSIDE.read_text()}\n\n{script}")
        code = f"exec(compile(open('{file}').read(), '{file}', 'exec'), globals())"
        interpreter = "--batch-interpreter=python-fu-eval"
        options = "-ids" if self.fonts else "-idfs"
        program = [f"gimp-console-{self.version}", options, interpreter, "-b", code, "--quit"]
        with open(self.folder / "log", "wb") as log:
            process = subprocess.Popen(
                self.command(program), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def run(self, script: str) -> dict[str, Any]:
        """Run a script to its end; what it reported to `OUT`."""
        out = self.folder / "out.json"
        out.unlink(missing_ok=True)
        process = self.start(f"OUT = {str(out)!r}\n{script}")
        return self.finish(process)

    def inside(self, name: str) -> str:
        """The source of a module beside this one, for the start of a script."""
        source = Path(__file__).with_name(name).read_text()
        return source.replace("from __future__ import annotations\n", "")

    def finish(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """Wait for a script that was started; what it reported."""
        code = process.wait(self.seconds)
        log = (self.folder / "log").read_text(errors="replace")
        out = self.folder / "out.json"
        assert code == 0, log
        assert out.exists(), log
        facts: dict[str, Any] = json.loads(out.read_text())
        return facts

    def close(self) -> None:
        """End what is left."""
        for process in self.processes:
            process.kill()
            process.wait()
        for number in self.running():
            os.kill(number, signal.SIGKILL)

    def running(self, part: str = "") -> list[int]:
        """Processes of this GIMP, its plug-ins and its workers, by a part of their command."""
        return [n for n, words in _commands() if str(self.folder) in words and part in words]

    def wait_until_quiet(self) -> None:
        """Wait until no process is left."""
        wait_until(lambda: not self.running())


@pytest.fixture(params=VERSIONS)
def gimp(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gimp]:
    """GIMP on a fresh profile, without the plug-in."""
    version: str = request.param
    named = os.environ.get("DRHT_GIMP_ROOTS")
    place = Path(named or root.CACHE) / version
    if not root.is_complete(place):
        missing = f"no GIMP {version} in {place}: python tests/gimp/root.py {version} makes it"
        if named:
            pytest.fail(missing)
        pytest.skip(missing)
    made = Gimp(version, place, tmp_path)
    made.prepare()
    try:
        yield made
    finally:
        made.close()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what is waited for did not happen"
        time.sleep(0.05)


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    wait_until(path.exists, 180)


def worker_files() -> set[str]:
    """Names of the workers' files."""
    folders = (Path("/dev/shm"), Path(tempfile.gettempdir()))
    return {str(p) for folder in folders for p in folder.glob("drht-*") if p.is_file()}


def _commands() -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words and int(folder.name) != os.getpid():
            found.append((int(folder.name), words))
    return found
