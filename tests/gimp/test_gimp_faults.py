"""What goes wrong around the plug-in, with real processes: GIMP goes on, and nothing is left."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from gimp_harness import WORKER, Gimp, wait_for, wait_until, worker_files
from strategies import picture

from drht_plugin import __version__

# A real worker that does something else once it is to look at the picture.
_IN_SURVEY = """
import os, signal, sys, time
from drht_plugin.cli import main
from drht_plugin.engine.corrector import Corrector
def survey(self, image, **settings):
    {deed}
Corrector.survey = survey
sys.exit(main(["worker", *sys.argv[1:]]))
"""

_OTHER_VERSION = """
import sys
from drht_plugin.cli import main
from drht_plugin.worker import session
session.PROTOCOL = 2
sys.exit(main(["worker", *sys.argv[1:]]))
"""

_CALL = """
image, layer = make({source!r}, 60, 40)
before = stored(layer)
status, result = call(image, layer, output={output!r})
report(OUT, status=status, said=result, same=stored(layer) == before, dirty=image.is_dirty(),
    layers=len(image.get_layers()))
"""


def script(gimp: Gimp, output: str = "in-place") -> str:
    """A script that calls the plug-in once and reports what became of the image."""
    source = gimp.folder / "in"
    picture(40, 60, 3, "uint8", 0, (0.0, 0.4)).tofile(source)
    return _CALL.format(source=str(source), output=output)


def worker(gimp: Gimp, code: str) -> list[str]:
    """A worker that is another program, told from others by its place."""
    file = gimp.folder / "worker.py"
    file.write_text(code)
    return [sys.executable, "-I", str(file)]


def require_untouched(facts: dict[str, Any]) -> str:
    """The call failed and the image is as it was; what the call said."""
    said: str = facts.pop("said")
    expected = {"status": "execution-error", "same": True, "dirty": False, "layers": 1}
    assert facts == expected, said
    return said


def test_no_worker_is_known(gimp: Gimp) -> None:
    """Without worker.json the procedure is there all the same, and says how to install."""
    gimp.install()
    (gimp.profile / "plug-ins/drht/worker.json").unlink()
    said = require_untouched(gimp.run(script(gimp)))
    assert "drht gimp install" in said
    assert "does not know where drht_plugin is installed" in said


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, ["cannot be started", "drht gimp install"]),
        (_OTHER_VERSION, ["another version", f"plug-in ({__version__})", "drht gimp install"]),
        (
            "print('Hello, I am no worker.' * 9)",
            ["has ended", "exit code 0", "I am no worker", "drht gimp check"],
        ),
        (
            "import socket, time; client, _ = socket.socket(fileno=0).accept()\n"
            "client.sendall(b'GET / HTTP/1.1'); time.sleep(3600)",
            ["invalid answer", "drht gimp check"],
        ),
        (
            "import sys; sys.exit('ModuleNotFoundError: No module named drht_plugin')",
            ["has ended", "exit code 1", "No module named drht_plugin", "drht gimp check"],
        ),
        (
            _IN_SURVEY.format(deed="os.kill(os.getpid(), signal.SIGKILL)"),
            ["has ended", "signal 9", "unchanged", "drht gimp check"],
        ),
        (
            _IN_SURVEY.format(deed="print('stray ' * 50000); raise RuntimeError('out of luck')"),
            ["cannot do this", "RuntimeError: out of luck"],
        ),
    ],
    ids=[
        "missing",
        "another version",
        "no worker",
        "garbage",
        "not installed",
        "killed",
        "failing",
    ],
)
def test_bad_workers(gimp: Gimp, code: str | None, words: list[str]) -> None:
    """Whatever the worker does, the call fails with what to do, and leaves nothing."""
    files = worker_files()
    command = ["/nonexistent/python"] if code is None else worker(gimp, code)
    # chroot itself would be found where its program is not.
    gimp.install(command, direct=code is None)
    said = require_untouched(gimp.run(script(gimp, "new-layer")))
    for each in words:
        assert each in said, said
    gimp.wait_until_quiet()
    wait_until(lambda: worker_files() <= files)


def hanging(gimp: Gimp) -> tuple[list[str], Path]:
    """A worker that is never done with its survey, and the file that says it is in it."""
    busy = gimp.folder / "busy"
    deed = f"open({str(busy)!r}, 'w').close(); time.sleep(3600)"
    return worker(gimp, _IN_SURVEY.format(deed=deed)), busy


def test_gimp_is_killed_in_mid_job(gimp: Gimp) -> None:
    """When GIMP is killed, plug-in and worker end, and no file is left."""
    files = worker_files()
    command, busy = hanging(gimp)
    gimp.install(command)
    process = gimp.start(f"OUT = ''\n{script(gimp)}")
    wait_for(busy)
    wait_until(lambda: worker_files() <= files)  # while it works, its file has no name
    [number] = gimp.running(f"gimp-console-{gimp.version} -idfs")
    os.kill(number, signal.SIGKILL)
    assert process.wait(30) != 0
    gimp.wait_until_quiet()
    wait_until(lambda: worker_files() <= files)


def test_plug_in_is_killed_in_mid_job(gimp: Gimp) -> None:
    """GIMP's Cancel kills the plug-in: the worker ends at once, GIMP goes on, nothing is left."""
    files = worker_files()
    command, busy = hanging(gimp)
    gimp.install(command)
    out = gimp.folder / "out.json"
    process = gimp.start(f"OUT = {str(out)!r}\n{script(gimp)}")
    wait_for(busy)
    [number] = gimp.running("plug-ins/drht/drht.py")
    os.kill(number, signal.SIGKILL)
    wait_until(lambda: not gimp.running("worker.py"))
    facts = gimp.finish(process)
    facts.pop("said")
    assert facts.pop("status") != "success"
    assert facts == {"same": True, "dirty": False, "layers": 1}
    gimp.wait_until_quiet()
    wait_until(lambda: worker_files() <= files)


def test_worker_is_left_alone_by_gimps_settings(gimp: Gimp) -> None:
    """Variables that bend GIMP's Python and libraries do not reach the worker."""
    bent = {"PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent", "LD_PRELOAD": "/no.so"}
    code = f"""
import os, sys
bent = [name for name in {sorted(bent)} if name in os.environ]
sys.exit("bent by " + ", ".join(bent) if bent else "not bent")
"""
    gimp.install(worker(gimp, code))
    settings = f"import os\nos.environ.update({bent})\n"
    # Of the batch interpreter the plug-in is no child: its own file begins with the settings.
    plugin = gimp.profile / "plug-ins/drht/drht.py"
    text = plugin.read_text()
    assert "import os\n" in text
    plugin.write_text(text.replace("import os\n", settings, 1))
    assert "not bent" in require_untouched(gimp.run(script(gimp)))


def test_worker_that_install_names(gimp: Gimp) -> None:
    """The harness's worker is the one that install names, but for the way to the host."""
    from drht_plugin.gimp_install import worker_command

    assert worker_command("default", "auto", None)[: len(WORKER)] == WORKER
