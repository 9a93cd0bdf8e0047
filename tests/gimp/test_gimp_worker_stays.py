"""One worker for GIMP's session: runs share it, and whatever ends it, the next run goes well."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from gimp_harness import Gimp, wait_for, wait_until, worker_files
from gimp_screen import DIALOG, PICTURE, SECONDS, Screen, open_by_menu
from strategies import picture
from test_gimp_interactive import preview, set_strength

import drht_plugin

SHAPE = 40, 60, 3

# A real worker that notes its number, and in its surveys does what it finds in a file.
_WORKER = """
import os, signal, sys, time
from pathlib import Path
from drht_plugin.cli import main
from drht_plugin.engine.corrector import Corrector
folder = Path({folder!r})
with open(folder / "workers", "a") as file:
    print(os.getpid(), file=file)
real = Corrector.survey
def survey(self, image, **settings):
    deed = folder / "deed"
    if deed.exists():
        todo = deed.read_text()
        deed.unlink()
        exec(todo)
    return real(self, image, **settings)
Corrector.survey = survey
sys.exit(main(["worker", *sys.argv[1:]]))
"""

_BUSY = """
(folder / "busy").touch()
while True:
    time.sleep(0.05)
    settings["progress"](0.0001)
"""

_CALLS = """
import time
from pathlib import Path
folder = Path({folder!r})
def between(number):
    {between}
answers = []
for number in range(3):
    image, layer = make(str(folder / "in"), 60, 40)
    status, said = call(image, layer, output="in-place")
    dump(layer, str(folder / f"out-{{number}}"))
    answers.append([status, said if isinstance(said, str) else ""])
    between(number)
report(OUT, answers=answers)
"""


def prepare(gimp: Gimp) -> Any:
    """Install the plug-in with the worker; the picture's correction."""
    image = picture(*SHAPE, "uint8", 0, (0.0, 0.4))
    image.tofile(gimp.folder / "in")
    program = gimp.folder / "worker.py"
    program.write_text(_WORKER.format(folder=str(gimp.folder)))
    gimp.install([sys.executable, "-I", str(program)])
    return drht_plugin.correct(image)


def start(gimp: Gimp, between: str = "pass") -> Any:
    """Start a GIMP that calls the procedure three times."""
    out = gimp.folder / "out.json"
    script = _CALLS.format(folder=str(gimp.folder), between=between)
    return gimp.start(f"OUT = {str(out)!r}\n{script}")


def workers(gimp: Gimp) -> list[int]:
    """The numbers of the workers that were started, in order."""
    return [int(line) for line in (gimp.folder / "workers").read_text().split()]


def result(gimp: Gimp, number: int) -> Any:
    """The layer after a call."""
    return np.fromfile(gimp.folder / f"out-{number}", np.uint8).reshape(SHAPE)


def sockets(gimp: Gimp) -> list[Path]:
    """Sockets of workers, and their output."""
    folder = Path(gimp.environment["XDG_RUNTIME_DIR"], "drht-gimp")
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.fixture(autouse=True)
def runtime(gimp: Gimp) -> Iterator[None]:
    """A folder for sockets that is this test's alone; the path of a socket has to be short."""
    with tempfile.TemporaryDirectory(prefix="drht-test-") as folder:
        gimp.environment["XDG_RUNTIME_DIR"] = folder
        yield


def require_well(gimp: Gimp, facts: dict[str, Any], expected: Any, *numbers: int) -> None:
    """These calls succeeded, with the right pixels."""
    for number in numbers or range(3):
        assert facts["answers"][number][0] == "success", facts
        np.testing.assert_array_equal(result(gimp, number), expected)


def test_runs_share_a_worker(gimp: Gimp) -> None:
    """Three runs have one worker; it ends with GIMP, and neither file nor socket is left."""
    files = worker_files()
    expected = prepare(gimp)
    require_well(gimp, gimp.finish(start(gimp)), expected)
    assert len(workers(gimp)) == 1
    gimp.wait_until_quiet()
    wait_until(lambda: worker_files() <= files)
    wait_until(lambda: not sockets(gimp))


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_a_worker_that_ended_between_runs(gimp: Gimp, how: str) -> None:
    """A worker that is gone is replaced by the next run, which says nothing of it."""
    expected = prepare(gimp)
    kill = "import os, signal; os.kill(int((folder / 'workers').read_text().split()[-1]), "
    kill += f"signal.{how}); time.sleep(1)"
    require_well(gimp, gimp.finish(start(gimp, kill)), expected)
    assert len(set(workers(gimp))) == 3


def test_a_worker_that_dies_in_mid_job(gimp: Gimp) -> None:
    """The run goes on with another worker, and has the right pixels; nothing is left of either."""
    files = worker_files()
    expected = prepare(gimp)
    (gimp.folder / "deed").write_text("os.kill(os.getpid(), signal.SIGKILL)")
    require_well(gimp, gimp.finish(start(gimp)), expected)
    assert len(workers(gimp)) == 2
    gimp.wait_until_quiet()
    wait_until(lambda: worker_files() <= files)
    wait_until(lambda: not sockets(gimp))


def test_a_killed_run_leaves_the_worker(gimp: Gimp) -> None:
    """Cancel kills the plug-in: its job ends, and the same worker serves the next run."""
    files = worker_files()
    expected = prepare(gimp)
    (gimp.folder / "deed").write_text(_BUSY)
    process = start(gimp)
    wait_for(gimp.folder / "busy")
    [number] = gimp.running("plug-ins/drht/drht.py")
    os.kill(number, signal.SIGKILL)
    facts = gimp.finish(process)
    assert facts["answers"][0][0] != "success"
    require_well(gimp, facts, expected, 1, 2)
    assert len(workers(gimp)) == 1
    wait_until(lambda: worker_files() <= files)


def test_another_version_is_installed(gimp: Gimp) -> None:
    """After another version was installed, a run starts its worker."""
    expected = prepare(gimp)
    setup = gimp.profile / "plug-ins/drht/worker.json"
    facts = json.loads(setup.read_text())
    newer = json.dumps({**facts, "version": "99"})
    between = f"number or Path({str(setup)!r}).write_text({newer!r})"
    require_well(gimp, gimp.finish(start(gimp, between)), expected)
    assert len(workers(gimp)) == 2


@pytest.mark.parametrize("why", ["open to others", "a link", "long"])
def test_no_private_folder(gimp: Gimp, why: str) -> None:
    """Where no socket can be kept from others, each run has a worker of its own."""
    expected = prepare(gimp)
    place = gimp.folder / "tmp"
    place.mkdir()
    name = f"drht-gimp-{os.geteuid()}"
    if why == "open to others":
        (place / name).mkdir()
        (place / name).chmod(0o755)
    elif why == "a link":
        (gimp.folder / "elsewhere").mkdir(mode=0o700)
        (place / name).symlink_to(gimp.folder / "elsewhere")
    else:
        place = place / ("long" * 30)
        place.mkdir()
    gimp.environment = {"TMPDIR": str(place)}
    require_well(gimp, gimp.finish(start(gimp)), expected)
    assert len(workers(gimp)) == 3
    gimp.wait_until_quiet()


def test_stale_sockets_are_removed(gimp: Gimp) -> None:
    """What a killed worker left is removed when the next one starts, of whatever GIMP."""
    prepare(gimp)
    process = start(gimp, "number or time.sleep(60)")
    wait_for(gimp.folder / "out-0")
    left = sockets(gimp)
    assert len(left) == 2
    for each in gimp.running():
        os.kill(each, signal.SIGKILL)
    process.wait(30)
    gimp.wait_until_quiet()
    assert sockets(gimp) == left
    (gimp.folder / "out.json").unlink(missing_ok=True)
    gimp.finish(start(gimp))
    wait_until(lambda: not sockets(gimp))


def test_two_gimps(gimp: Gimp) -> None:
    """Each GIMP has a worker of its own, and the one's end is not the other's."""
    expected = prepare(gimp)
    first = start(gimp, "number or time.sleep(8)")
    wait_for(gimp.folder / "out-0")
    second = start(gimp)
    require_well(gimp, gimp.finish(second), expected)
    assert len(set(workers(gimp))) == 2
    time.sleep(1)
    require_well(gimp, gimp.finish(first), expected)
    assert len(set(workers(gimp))) == 2
    gimp.wait_until_quiet()


def test_the_dialog_goes_on(gimp: Gimp) -> None:
    """If the worker dies while the dialog is open, the preview goes on with another, once."""
    prepare(gimp)
    source = gimp.folder / "bridge.png"
    pyvips.Image.new_from_file(str(PICTURE)).write_to_file(str(source))
    screen = Screen(gimp)
    try:
        screen.open(source)
        open_by_menu(screen)
        wait_until(lambda: preview(screen, "stays").mean() > 110, SECONDS)
        corrected = preview(screen, "stays")
        os.kill(workers(gimp)[-1], signal.SIGKILL)
        # A dialog that has nothing to do does not notice.
        set_strength(screen, "0", lambda: bool(preview(screen, "again").mean() < 80))
        assert len(workers(gimp)) == 2
        mean = corrected.mean()
        set_strength(screen, "100", lambda: bool(abs(preview(screen, "again").mean() - mean) < 2))
        os.kill(workers(gimp)[-1], signal.SIGKILL)

        def top(name: str) -> npt.NDArray[np.uint8]:
            return screen.shot(name, screen.window(DIALOG))[:100, :700]

        well = top("well")
        # The error stands above the preview.
        set_strength(screen, "50", lambda: bool((top("died-twice") != well).any()))
        time.sleep(3)
        assert len(workers(gimp)) == 2
        # Try again; the letter is that of Layers, too.
        screen.press(DIALOG, "alt+y", "space", until=lambda: len(workers(gimp)) == 3)
        screen.leave("Escape")
    finally:
        screen.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount")
def test_memory_for_pictures_is_full(gimp: Gimp) -> None:
    """With /dev/shm full, runs put pictures on the disk, and the worker stays."""
    expected = prepare(gimp)
    full = gimp.folder / "full.py"
    full.write_text(
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.unshare(0x20000) == 0, os.strerror(ctypes.get_errno())\n"
        "assert libc.mount(None, b'/', None, 0x44000, None) == 0\n"
        "assert libc.mount(b'none', b'/dev/shm', b'tmpfs', 0, b'size=4k') == 0\n"
        "open('/dev/shm/filler', 'wb').write(bytes(4096))\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    python = [sys.executable, "-I"]
    gimp.install([*python, str(full), *python, str(gimp.folder / "worker.py")])
    require_well(gimp, gimp.finish(start(gimp)), expected)
    assert len(workers(gimp)) == 1
