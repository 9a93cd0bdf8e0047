"""Install the plug-in in GIMP's profile folders, uninstall it, and check it (`drht gimp`)."""

from __future__ import annotations

import argparse
import importlib.resources
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from drht_plugin._version import __version__
from drht_plugin.errors import DrhtError, FileError, InputError, WriteError
from drht_plugin.gimp_profiles import hidden_from_gimp, profiles
from drht_plugin.storage import read_json_object
from drht_plugin.worker import frames

PROCEDURE = "plug-in-drht-recover-exposure"

_PLUGIN, _SETUP = "drht.py", "worker.json"
_SUFFIXES = (".py", ".html", ".css", ".xml", ".mo")  # also in setup.py
_IN_PROFILE = Path("plug-ins", "drht")
_GIMPS = ("gimp-console-3.2", "gimp-console-3.0", "gimp-console-3", "gimp-console")
_GIMP_SECONDS, _WORKER_SECONDS = 180, 180


def run(options: argparse.Namespace) -> int:
    """Run `drht gimp`.

    Args:
        options: the parsed arguments, see `drht_plugin.cli.gimp.add_command`.

    Returns:
        The exit code: 0, or 1 if there is a problem.

    Raises:
        InputError: there is no profile, or an argument is wrong.
        FileError: a file cannot be read or written.
    """
    found = profiles(Path.home(), os.environ, sys.platform)
    chosen = [options.profile] if options.profile is not None else found
    if not chosen:
        raise InputError(
            "no profile of GIMP 3 was found; start GIMP 3 once, or name its folder with --profile "
            "(GIMP shows it in Edit, Preferences, Folders)"
        )
    if options.action == "uninstall":
        for profile in chosen:
            removed = uninstall(profile)
            print(f"{profile}: {'uninstalled' if removed else 'the plug-in is not installed'}")
        return 0
    if options.action == "install":
        from drht_plugin.engine.corrector import Corrector
        from drht_plugin.worker.session import details_of

        command = worker_command(options.model, options.device, options.threads, options.backend)
        details = details_of(Corrector(model=options.model))
        for profile in chosen:
            print(f"{profile}: installed {install(profile, command, details)}")
    program = _gimp_program(options.gimp)
    good = [_report(profile, program) for profile in chosen]
    return 0 if all(good) else 1


def worker_command(
    model: str, device: str, threads: int | None, backend: str = "auto"
) -> list[str]:
    """Return the command that starts a worker of this installation.

    Args:
        model: name of a shipped model or a .safetensors file.
        device: as in `choose_device`.
        threads: CPU threads; None for all cores.
        backend: as in `Corrector`.

    Returns:
        Program and arguments.

    Raises:
        InputError: the model or device is unknown, or backend is unknown, or threads is below 1.
    """
    from drht_plugin.engine.corrector import Corrector
    from drht_plugin.model.device import choose_device
    from drht_plugin.model.locate import locate

    Corrector(threads=threads, backend=backend)
    choose_device(device)
    # The worker starts in another folder, so a path must be absolute; a shipped name is kept.
    named = str(locate(model).resolve()) if Path(model).suffix else model
    locate(named)
    settings = ["--model", named, "--device", device]
    settings += [] if backend == "auto" else ["--backend", backend]
    settings += [] if threads is None else ["--threads", str(threads)]
    return [sys.executable, "-I", "-m", "drht_plugin.cli", "worker", *settings]


def install(profile: Path, command: Sequence[str], details: Sequence[str]) -> Path:
    """Install the plug-in in a profile; it replaces a version that this command installed.

    Args:
        profile: profile folder of GIMP.
        command: command that starts the worker.
        details: kinds of detail that the worker has, the default first.

    Returns:
        The path of the plug-in.

    Raises:
        FileError: there is a plug-in of the same name that this command did not install.
        WriteError: the folder cannot be written.
    """
    folder = profile / _IN_PROFILE
    if folder.exists() and any(folder.iterdir()) and _read_setup(folder) is None:
        raise FileError(f"{folder}: contains a plug-in that `drht gimp install` did not put there")
    earlier = _read_setup(folder)
    files = plugin_files()
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    setup = {
        "command": list(command),
        "details": list(details),
        "version": __version__,
        "files": sorted(files),
        "made": earlier["made"] if earlier else [str(path) for path in missing],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove(folder, set(earlier["files"] if earlier else ()) - set(files))
        # The setup file comes first, because it marks the folder as ours.
        _put(folder / _SETUP, (json.dumps(setup, indent=2) + "\n").encode(), 0o644)
        for name in sorted(files, key=lambda name: name == _PLUGIN):
            # GIMP looks at the time of the main file alone, so that one comes last.
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            _put(folder / name, files[name].read_bytes(), 0o755 if name == _PLUGIN else 0o644)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written: {error.strerror}") from error
    return folder / _PLUGIN


def uninstall(profile: Path) -> bool:
    """Remove what `install` wrote, and the folders that it created if they are empty.

    Args:
        profile: profile folder of GIMP.

    Returns:
        Whether the plug-in was installed.

    Raises:
        WriteError: a file cannot be removed.
    """
    folder = profile / _IN_PROFILE
    setup = _read_setup(folder)
    if setup is None:
        return False
    try:
        _remove(folder, setup["files"])
        (folder / _SETUP).unlink()
        for path in map(Path, setup["made"]):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
    except OSError as error:
        raise WriteError(f"{error.filename}: cannot be removed: {error.strerror}") from error
    return True


def plugin_files() -> dict[str, Path]:
    """The plug-in's files: as the package's installation brought them, or of the checkout.

    Returns:
        Where each lies, by its name in the plug-in's folder, such as "drht_parts/worker.py".

    Raises:
        FileError: they are not there.
    """
    package = Path(str(importlib.resources.files("drht_plugin")))
    for folder in (package / "gimp_plugin", package.parent / "gimp" / "drht"):
        if (folder / _PLUGIN).is_file():
            return {
                path.relative_to(folder).as_posix(): path
                for path in folder.rglob("*")
                if path.suffix in _SUFFIXES
            }
    raise FileError(f"{_PLUGIN}: the plug-in is missing; install the package again")


@dataclass(frozen=True)
class Finding:
    """Result of a check.

    Attributes:
        well: whether it succeeded.
        text: message for the user.
    """

    well: bool
    text: str


def findings(profile: Path, program: Path | None) -> Iterator[Finding]:
    """Check a profile: the files, the worker, and whether GIMP finds the plug-in.

    Args:
        profile: profile folder of GIMP.
        program: GIMP program to ask, or None to skip that check.

    Yields:
        The result of each check.
    """
    folder = profile / _IN_PROFILE
    setup = _read_setup(folder)
    if setup is None:
        yield Finding(False, f"no plug-in in {folder}: run `drht gimp install`")
        return
    plugin = folder / _PLUGIN
    other = _first_difference(folder)
    if other is not None:
        yield Finding(False, f"{other} is not from this version: run `drht gimp install`")
    elif os.name == "posix" and not os.access(plugin, os.X_OK):
        yield Finding(False, f"{plugin} is not executable: run `drht gimp install`")
    else:
        yield Finding(True, f"plug-in {plugin}")
    yield _ask_worker(setup["command"])
    hidden = hidden_from_gimp(profile, Path.home(), _programs(setup["command"]))
    if hidden is not None:
        sandbox, path = hidden
        yield Finding(
            False,
            f"GIMP of {sandbox} does not see {path}: install drht_plugin with a Python that lies "
            "in your home folder, outside folders whose names begin with a dot",
        )
    if program is None:
        yield Finding(True, "no GIMP program on the PATH to check with; name one with --gimp")
    else:
        yield _ask_gimp(program, profile)


def _programs(command: Sequence[str]) -> list[Path]:
    """Return the files that a worker's command starts with: its program, and this package."""
    return [Path(command[0]), Path(__file__)]


def _first_difference(folder: Path) -> Path | None:
    """Return a file of the plug-in that is missing or not from this version."""
    for name, source in plugin_files().items():
        installed = folder / name
        if not installed.is_file() or installed.read_bytes() != source.read_bytes():
            return installed
    return None


def _report(profile: Path, program: Path | None) -> bool:
    """Print the findings on a profile; return whether all checks succeeded."""
    well = True
    for finding in findings(profile, program):
        well &= finding.well
        print(f"{profile}: {'ok' if finding.well else 'PROBLEM'}: {finding.text}", flush=True)
    return well


def _ask_worker(command: Sequence[str]) -> Finding:
    """Check that the worker starts, answers, and is from this version."""
    requests = [
        {"type": "hello", "id": 0, "protocol": frames.PROTOCOL},
        {"type": "status", "id": 1},
    ]
    with tempfile.TemporaryFile() as said:
        try:
            # Unbuffered, as closing a pipe that still has to be written fails if nobody reads it.
            worker = subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            )
        except OSError as error:
            return Finding(
                False, f"worker {command[0]}: {error.strerror}: run `drht gimp install` again"
            )
        with worker:
            timer = threading.Timer(_WORKER_SECONDS, worker.kill)
            timer.start()
            assert worker.stdin is not None
            assert worker.stdout is not None
            reply: frames.Message | None = None
            why = ""
            try:
                for request in requests:
                    worker.stdin.write(frames.encode(request))
                    worker.stdin.flush()
                    reply = frames.read(worker.stdout.read)
                    if reply is None or reply.get("type") != "done":
                        break
            except (OSError, DrhtError) as error:
                reply, why = None, f": {error}"
            timer.cancel()
            worker.kill()
        if reply is None:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            why = why or f": {last[0]}" if last else why
            return Finding(
                False, f"worker {command[0]} does not answer{why}: run `drht gimp install` again"
            )
    if reply.get("type") != "done":
        return Finding(False, f"worker {command[0]}: {reply.get('message')}")
    if reply["version"] != __version__:
        return Finding(
            False,
            f"worker {command[0]} is drht_plugin {reply['version']}, this is {__version__}: "
            "run `drht gimp install`",
        )
    return Finding(
        True,
        f"worker {command[0]}, version {reply['version']}, device {reply['device']}, "
        f"model {reply['model']}",
    )


def _ask_gimp(program: Path, profile: Path) -> Finding:
    """Check that GIMP finds the procedure.

    GIMP writes into its profile when it starts. So it runs on a copy of the relevant files, which
    leaves the user's profile unchanged.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer, copy = Path(folder) / "answer", Path(folder) / "profile"
        shutil.copytree(profile / _IN_PROFILE, copy / _IN_PROFILE)
        if (profile / "gimprc").exists():
            shutil.copy(profile / "gimprc", copy)
        code = (
            f"open({str(answer)!r}, 'w').write(str(Gimp.get_pdb().procedure_exists({PROCEDURE!r})))"
        )
        # GIMP has its own Python, which must not get the settings of this one.
        foreign = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        interpreter = "--batch-interpreter=python-fu-eval"
        try:
            done = subprocess.run(
                [program, "-idfs", interpreter, "-b", code, "--quit"],
                env={**foreign, "GIMP3_DIRECTORY": str(copy)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_GIMP_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return Finding(False, f"{program} does not answer within {_GIMP_SECONDS} s")
        except OSError as error:
            return Finding(False, f"{program}: {error.strerror}")
        if not answer.exists():
            last = done.stderr.strip().splitlines()[-1:]
            return Finding(False, f"{program} cannot be checked: {' '.join(last)}")
        if answer.read_text() != "True":
            return Finding(
                False,
                f"{program} does not find the plug-in; perhaps its plug-in-path excludes it",
            )
    return Finding(True, f"{program} has {PROCEDURE}")


def _gimp_program(named: str | None) -> Path | None:
    """Return GIMP's console program: the one named, or the first on the PATH."""
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise InputError(f"--gimp {named}: program not found")
        return Path(found)
    return next((Path(path) for path in map(shutil.which, _GIMPS) if path), None)


def _read_setup(folder: Path) -> dict[str, list[str]] | None:
    """Read worker.json; return None if `install` did not write it."""
    try:
        setup = read_json_object(folder / _SETUP)
        # Versions before 0.3.0 were one file, and did not note it.
        setup = {"files": [_PLUGIN], **setup}
        return {name: [str(each) for each in setup[name]] for name in ("command", "made", "files")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files of the plug-in, and folders in it that are empty then."""
    for name in names:
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            continue  # the user's file says which: nothing else is removed
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == folder or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()


def _put(target: Path, data: bytes, mode: int) -> None:
    """Write a file atomically, with its permissions."""
    temporary = target.with_name(f".{target.name}.new")
    try:
        temporary.write_bytes(data)
        temporary.chmod(mode)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
