"""Where GIMP keeps what, on each system and in sandboxes: with layouts that are made up here.

None of them but Linux has been tried with its GIMP.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from drht_plugin.gimp_install import findings, install
from drht_plugin.gimp_profiles import hidden_from_gimp, profiles

PARTS = Path(__file__).parents[2] / "gimp/drht/drht_parts"


def part(name: str) -> ModuleType:
    """A module of the plug-in that needs no GIMP."""
    spec = importlib.util.spec_from_file_location(f"part_{name}", PARTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("platform", "environment", "folders"),
    [
        ("linux", {}, [".config/GIMP"]),
        ("linux", {}, [".config/GIMP", ".var/app/org.gimp.GIMP/config/GIMP"]),
        ("linux", {}, ["snap/gimp/current/.config/GIMP"]),
        ("linux", {"XDG_CONFIG_HOME": "{home}/elsewhere"}, ["elsewhere/GIMP"]),
        ("darwin", {}, ["Library/Application Support/GIMP"]),
        ("win32", {"APPDATA": "{home}/AppData/Roaming"}, ["AppData/Roaming/GIMP"]),
    ],
    ids=["linux", "linux and flatpak", "snap", "xdg", "mac", "windows"],
)
def test_profiles_are_found(
    tmp_path: Path, platform: str, environment: dict[str, str], folders: list[str]
) -> None:
    """Each layout's profiles of GIMP 3 are found, 2.10's and backups are not."""
    expected = []
    for folder in folders:
        for version in ("2.10", "3.0", "3.2", "3.0-backup"):
            (tmp_path / folder / version).mkdir(parents=True)
        expected += [tmp_path / folder / "3.0", tmp_path / folder / "3.2"]
    settings = {name: value.format(home=tmp_path) for name, value in environment.items()}
    assert profiles(tmp_path, settings, platform) == expected
    named = {**settings, "GIMP3_DIRECTORY": str(tmp_path / "own")}
    assert profiles(tmp_path, named, platform) == [tmp_path / "own"]


FLATPAK = ".var/app/org.gimp.GIMP/config/GIMP/3.0"
SNAP = "snap/gimp/current/.config/GIMP/3.0"


@pytest.mark.parametrize(
    ("profile", "program", "sandbox"),
    [
        (".config/GIMP/3.0", "/usr/bin/python3", None),
        (FLATPAK, "/usr/bin/python3", "Flatpak"),
        (FLATPAK, "{home}/venv/bin/python", None),
        (FLATPAK, "{home}/.venv/bin/python", None),
        (FLATPAK, "{home}/linked/bin/python", "Flatpak"),
        (FLATPAK, "/opt/python/bin/python", None),
        (SNAP, "{home}/venv/bin/python", None),
        (SNAP, "{home}/.venv/bin/python", "Snap"),
        (SNAP, "{home}/linked/bin/python", "Snap"),
        (SNAP, "/opt/python/bin/python", "Snap"),
    ],
)
def test_what_a_sandbox_hides(
    tmp_path: Path, profile: str, program: str, sandbox: str | None
) -> None:
    """A Python that GIMP's sandbox does not see is found, also behind a link."""
    for folder in ("venv", ".venv", "linked"):
        (tmp_path / folder / "bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").touch()
    (tmp_path / ".venv/bin/python").touch()
    (tmp_path / "linked/bin/python").symlink_to("/usr/bin/env")
    path = Path(program.format(home=tmp_path))
    found = hidden_from_gimp(tmp_path / profile, tmp_path, [path])
    assert (found and found[0]) == sandbox
    if found:
        assert found[1] in (path, path.resolve())


def test_check_says_what_a_sandbox_hides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`drht gimp check` names the file that GIMP cannot see, and what to do; it goes on to the end.

    The worker ends before it reads anything.
    """
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for profile, hides in ((FLATPAK, True), (".config/GIMP/3.0", False)):
        install(tmp_path / profile, ["/usr/bin/env", "true"], ["auto"])
        texts = [each.text for each in findings(tmp_path / profile, None) if not each.well]
        found = [text for text in texts if "GIMP of Flatpak does not see /usr/bin/env" in text]
        assert len(found) == hides
        assert all("in your home folder" in text for text in found)


def test_the_workers_environment() -> None:
    """What GIMP's packages set for their Python and libraries is left out, the user's is kept."""
    packages = {
        "LD_LIBRARY_PATH": "/tmp/.mount_GIMP/usr/lib",  # AppImage
        "PYTHONHOME": "/tmp/.mount_GIMP/usr",
        "GI_TYPELIB_PATH": "/tmp/.mount_GIMP/usr/lib/girepository-1.0",
        "GDK_PIXBUF_MODULE_FILE": "/Applications/GIMP.app/loaders.cache",  # macOS
        "DYLD_LIBRARY_PATH": "/Applications/GIMP.app/lib",
        "__PYVENV_LAUNCHER__": "/Applications/GIMP.app/python",
        "GIO_MODULE_DIR": "/app/lib/gio",  # Flatpak
        "GTK_PATH": "/snap/gimp/1/usr/lib/gtk-3.0",  # Snap
        "PYTHONDONTWRITEBYTECODE": "1",
        "BABL_PATH": "C:\\GIMP\\lib\\babl-0.1",  # Windows
        "GEGL_PATH": "C:\\GIMP\\lib\\gegl-0.4",
        "VIPSHOME": "/tmp/.mount_GIMP/usr",
    }
    users = [
        *("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TEMP", "TMPDIR", "LANG"),
        *("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "OMP_NUM_THREADS"),
        *("CUDA_VISIBLE_DEVICES", "NUMBA_CACHE_DIR"),
    ]
    kept = dict.fromkeys(users, "kept")
    assert part("environment").for_worker({**packages, **kept}) == kept


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short path, which is that for temporary files."""
    with tempfile.TemporaryDirectory(prefix="drht-test-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        yield Path(folder)


@pytest.mark.skipif(os.name != "posix", reason="Unix sockets")
@pytest.mark.parametrize("runtime", ["there", "missing", "not absolute", "a file", "unset"])
def test_where_sockets_are(short: Path, monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    """In the user's runtime folder or, without one, as on macOS, in a private temporary one."""
    place = short / "run"
    if runtime == "there":
        place.mkdir()
    elif runtime == "a file":
        place.touch()
    if runtime != "unset":
        monkeypatch.setenv("XDG_RUNTIME_DIR", "run" if runtime == "not absolute" else str(place))
    with part("session_folder").lock() as folder:
        named = f"drht-gimp-{os.geteuid()}"
        assert Path(folder) == (place / "drht-gimp" if runtime == "there" else short / named)
        assert os.stat(folder).st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.name != "posix", reason="Unix sockets")
def test_only_own_sockets(short: Path) -> None:
    """A folder that others may enter is refused; what no worker listens at is no connection."""
    module = part("session_folder")
    with module.lock() as folder:
        path = os.path.join(folder, "a.sock")
        assert module.connect(path) is None
        with module.listen(path):
            assert os.stat(path).st_mode & 0o777 == 0o600
            with module.connect(path) as connection:
                assert connection.getpeername() == path
        assert module.connect(path) is None
        module.remove_stale(folder)
        assert os.listdir(folder) == []
    os.chmod(folder, 0o711)
    with pytest.raises(OSError, match="open to other users"), module.lock():
        pass


def test_no_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has none, as on Windows, this is said before anything is made."""
    module = part("session_folder")
    monkeypatch.delattr(socket, "AF_UNIX", raising=False)
    with pytest.raises(OSError, match="no Unix sockets"), module.lock():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="another user's socket needs root on Linux")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can")
def test_a_worker_of_another_user(short: Path) -> None:
    """A socket at which another user listens is refused, even in a folder of one's own."""
    module = part("session_folder")
    with module.lock() as folder:
        os.chmod(folder, 0o777)
        os.chmod(short, 0o777)
        path = os.path.join(folder, "a.sock")
        code = (
            "import os, socket, sys\nos.setuid(65534)\nlistener = socket.socket(socket.AF_UNIX)\n"
            "listener.bind(sys.argv[1])\nlistener.listen()\nprint(1, flush=True)\n"
            "listener.accept()\nsys.stdin.read()"
        )
        pipe = subprocess.PIPE
        command = [sys.executable, "-I", "-c", code, path]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"1\n"
            with pytest.raises(OSError, match="belongs to another user"):
                module.connect(path)
            other.kill()
