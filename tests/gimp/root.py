"""A root file system with a real GIMP in it, and how to run a program there.

    python tests/gimp/root.py 3.0            # .cache/gimp/3.0, from Debian trixie
    python tests/gimp/root.py 3.2 --into DIR # DIR/3.2, from Debian forky

Debian 12 has no GIMP 3. Its packages are taken from where the host takes its own, for another
suite, and unpacked into a folder, as root or as an ordinary user; nothing is installed on the host.
A program in it sees the folder as its root, with the host's /dev and /proc, and what is shared.
Needs apt-get, dpkg-deb and unshare. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

SUITES = {"3.0": "trixie", "3.2": "forky"}
"""Debian's suite that has each GIMP."""

CACHE = Path(__file__).parents[2] / ".cache" / "gimp"

HOST = Path("/host")
"""Where a program inside finds the host's root."""

_CHROOT = "/usr/sbin/chroot"  # not on an ordinary user's path

_PACKAGES = (
    *("gimp", "gir1.2-gimp-3.0", "python3-gi"),
    # What maintainer scripts and GIMP's start-up call.
    *("base-files", "libc-bin", "dash", "bash", "coreutils", "sed", "grep", "libglib2.0-bin"),
    *("shared-mime-info", "fontconfig", "fonts-dejavu-core", "fonts-vlgothic"),
    # A locale in which GIMP is translated, to any language.
    *("locales", "gzip"),
    # A screen, a window manager, and hands.
    *("xvfb", "xauth", "xdotool", "openbox", "x11-utils", "imagemagick", "dbus"),
    *("adwaita-icon-theme", "procps"),
)

# What maintainer scripts would have done.
_FINISH = r"""
ldconfig
glib-compile-schemas /usr/share/glib-2.0/schemas
/usr/lib/*/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders --update-cache
update-mime-database /usr/share/mime
fc-cache
localedef -i de_DE -f UTF-8 de_DE.UTF-8
dbus-uuidgen --ensure=/etc/machine-id
"""

_ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\nmessagebus:x:100:100::/nonexistent:/bin/false\n",
    "group": "root:x:0:\nmessagebus:x:100:\n",
}


def build(version: str, into: Path = CACHE) -> Path:
    """The root of a GIMP version, made where it is not there yet."""
    root = into / version
    if is_complete(root):
        return root
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{version}-", dir=into) as folder:
        made = Path(folder) / "root"
        made.mkdir()
        for package in _download(SUITES[version], Path(folder)):
            subprocess.run(["dpkg-deb", "--extract", package, made], check=True)
        _finish(made)
        _mark(made).touch()
        shutil.rmtree(root, ignore_errors=True)
        made.rename(root)
    return root


def is_complete(root: Path) -> bool:
    """Whether `build` made this root, to its end."""
    return _mark(root).exists()


def command(
    root: Path,
    program: Sequence[str | Path],
    *,
    shared: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """The command that runs a program inside; arguments can be appended.

    The host's own root is at `HOST`, so that `on_host` runs a program of the host from there.

    Args:
        root: as `build` made it.
        program: it and its arguments.
        shared: the host's folders that it has at the same paths.
        environment: all that is set; none is handed down.
    """
    script = ["set -e"]
    places = [(Path("/"), HOST, "rbind"), (Path("/dev"), Path("/dev"), "rbind")]
    places += [(Path("/proc"), Path("/proc"), "rbind")]
    places += [(path, path, "bind") for path in shared]
    for path, inside, how in places:
        target = shlex.quote(f"{root}{inside}")
        script.append(f"mkdir -p {target}; mount --{how} {shlex.quote(str(path))} {target}")
    settings = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", **(environment or {})}
    assignments = [shlex.quote(f"{name}={value}") for name, value in settings.items()]
    entry = ["exec", _CHROOT, shlex.quote(str(root)), "/usr/bin/env", "-i", *assignments, '"$@"']
    script.append(" ".join(entry))
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    space = ["unshare", *user, "--mount", "--propagation", "private"]
    return [*space, "sh", "-c", "\n".join(script), "sh", *map(str, program)]


def on_host(program: Sequence[str | Path]) -> list[str]:
    """The command that runs a program of the host, for one that runs inside."""
    return [_CHROOT, str(HOST), *map(str, program)]


def _mark(root: Path) -> Path:
    return root / ".complete"


def _download(suite: str, work: Path) -> list[Path]:
    """The packages and all they depend on, as files."""
    state, archives = work / "state", work / "archives"
    for folder in (state / "lists/partial", archives / "partial"):
        folder.mkdir(parents=True)
    (state / "status").touch()
    sources = work / "sources.list"
    sources.write_text(f"deb [{_signed_by()}] {_mirror()} {suite} main\n")
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": work,
        "Dir::Cache::archives": archives,
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",
        "APT::Update::Post-Invoke-Success": "",
        "APT::Install-Recommends": "false",
        "Debug::NoLocking": "true",
        "Acquire::Retries": "3",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    subprocess.run([*apt, "update"], check=True, stdout=subprocess.DEVNULL)
    wanted = [*apt, "--yes", "--download-only", "install", *_PACKAGES]
    subprocess.run(wanted, check=True, stdout=subprocess.DEVNULL)
    # base-files brings the links /bin, /lib and /sbin, which must be there before what they hold.
    return sorted(archives.glob("*.deb"), key=lambda p: (not p.name.startswith("base-files_"), p))


def _mirror() -> str:
    """Where the host takes Debian's main archive from."""
    wanted = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)"]
    release = _os_release()
    targets = subprocess.run(wanted, check=True, capture_output=True, text=True).stdout
    for line in targets.splitlines():
        uri, codename, component = line.split()
        if (codename, component) == (release.get("VERSION_CODENAME"), "main"):
            return uri
    return "http://deb.debian.org/debian"


def _os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text().splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name: value.strip('"') for name, _, value in pairs}


def _signed_by() -> str:
    """Debian's keys, by the file that the host has of them."""
    return "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"


def _finish(root: Path) -> None:
    for name, lines in _ACCOUNTS.items():
        (root / "etc" / name).write_text(lines)
    # Maintainer scripts link the chosen implementation up one folder.
    for name in ("blas", "lapack"):
        for library in root.glob(f"usr/lib/*/{name}/lib{name}.so.3"):
            link = library.parents[1] / library.name
            if not link.exists():
                link.symlink_to(f"{name}/{library.name}")
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    done = subprocess.run(
        command(root, ["/bin/sh", "-e", "-c", _FINISH]), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"the root cannot be finished:\n{done.stdout}{done.stderr}")


def main() -> None:
    """Build one root and print its place."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", choices=tuple(SUITES))
    parser.add_argument("--into", type=Path, default=CACHE, help=f"folder (default: {CACHE})")
    options = parser.parse_args()
    print(build(options.version, options.into.resolve()))


if __name__ == "__main__":
    main()
