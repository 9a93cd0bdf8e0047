"""One bad file never ends a batch, whatever it is called and whatever is raised for it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest

from drht_plugin import io
from drht_plugin.cli import main
from drht_plugin.cli.exits import printable

DRHT = [sys.executable, "-m", "drht_plugin.cli"]


def picture(path: Path) -> Path:
    """A small dark picture of the suffix's format."""
    codes = (made.values(3, "uint8", 48, 64) * 0.3).astype(np.uint8)
    plain = Path(tempfile.mkdtemp()) / f"plain{path.suffix}"
    if path.suffix == ".exr":
        io.write_hdr(plain, (codes / np.float32(255)).astype(np.float32))
    else:
        made.pillow(plain, codes)
    shutil.move(plain, path)
    plain.parent.rmdir()
    return path


def drht(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    return subprocess.run(
        [*DRHT, "correct", *arguments], capture_output=True, timeout=120, check=False, **options
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        TypeError("no\nsense"),
        OverflowError("too large"),
        UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "bad"),
        OSError(28, "No space left on device"),
        RecursionError("too deep"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_is_raised_is_the_files_own_error(
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Any exception is named by the path as given, in text and in JSON, and the batch goes on."""
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / name)

    def fail(path: Any, **how: Any) -> Any:
        if "b.png" in str(path):
            raise error
        return io.open_picture(path, **how)

    monkeypatch.setattr("drht_plugin.file_correction.correct.open_picture", fail)
    monkeypatch.chdir(tmp_path)
    assert main(["correct", "a.png", "./b.png", "c.png", "--json"]) == 1
    out, err = capsys.readouterr()
    *lines, last = [json.loads(line) for line in out.splitlines()]
    assert [last["summary"][name] for name in ("pictures", "corrected", "failed")] == [3, 2, 1]
    assert [line["source"] for line in lines] == ["a.png", "./b.png", "c.png"]
    assert ["error" in line for line in lines] == [False, True, False]
    assert lines[1]["kind"] == type(error).__name__
    assert lines[1]["error"].startswith("./b.png: ")
    first, second = err.splitlines()
    assert first.startswith("drht: ./b.png: ")
    assert second == "drht: 1 of 3 pictures failed"
    assert not (tmp_path / "b-corrected.png").exists()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif", ".jp2", ".exr"])
def test_names_that_are_not_utf8(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such files are read and written, resumed too, in such folders; JSON gives the bytes back."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff"))
    folder.mkdir()
    source = picture(folder / os.fsdecode(b"caf\xe9\x1b" + suffix.encode()))
    out = folder / os.fsdecode(b"out\xe8")
    for more in ([], ["--resume"]):
        command = ["correct", str(source), "-o", str(out), "--json", "--hdr", "--overwrite", *more]
        assert main(command) == 0
        report = json.loads(capsys.readouterr().out)
        assert os.fsencode(report["source"]) == os.fsencode(source)
        assert os.fsencode(report["target"]) == os.fsencode(out / source.name)
        names = {os.fsencode(path.name) for path in out.iterdir()}
        assert names == {b"caf\xe9\x1b" + suffix.encode(), b"caf\xe9\x1b-hdr.exr"}
    assert sorted(io.read_picture(out / source.name).shape) == [3, 48, 64]


def test_such_names_are_shown_escaped(tmp_path: Path) -> None:
    """In text, a byte that is not UTF-8 and a control character are escapes, on both streams."""
    source = picture(tmp_path / os.fsdecode(b"caf\xe9\x1b.png"))
    done = drht(str(source), str(source.with_stem(source.stem + "x")))
    assert done.returncode == 1
    assert "caf\\xe9\\x1b.png -> " in done.stdout.decode()
    assert "caf\\xe9\\x1bx.png: cannot be read: No such file" in done.stderr.decode()


def test_control_characters_are_escaped() -> None:
    """What could act on a terminal, or cannot be encoded, is shown as an escape."""
    assert printable("a\nb\x1b[2J\x85\u202e\udce9é 写\xa0") == (
        "a\\nb\\x1b[2J\\u0085\\u202e\\xe9é 写\xa0"
    )


def test_long_names(tmp_path: Path) -> None:
    """A name as long as the disk takes is read, written and resumed."""
    name = f"{'n' * 241}.png"
    source = picture(tmp_path / name)
    for more in ([], ["--resume"]):
        assert main(["correct", str(source), "-o", str(tmp_path / "out"), "--quiet", *more]) == 0
        (tmp_path / "out" / name).unlink()
    assert list((tmp_path / "out").iterdir()) == []
    assert main(["correct", str(source), "--quiet", "--resume"]) == 0
    assert (tmp_path / f"{'n' * 241}-corrected.png").exists()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made_by:
        made_by.bind(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, bound_socket, device, Path.mkdir])
def test_no_files(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pipes, sockets and devices are refused by name and at once; an empty folder is named."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "odd.png")
    picture(tmp_path / "good.png")
    done = drht("odd.png", "good.png", "--quiet")
    if make is Path.mkdir:
        assert done.returncode == 0
        assert done.stderr.startswith(b"drht: odd.png: has no pictures that are read")
    else:
        assert done.returncode == 1
        assert done.stderr.startswith(b"drht: odd.png: is a ")
        assert b"only files are read" in done.stderr
    assert (tmp_path / "good-corrected.png").exists()
    before = os.lstat("odd.png")
    done = drht("good.png", "-o", "odd.png", "--overwrite", "--quiet")
    if make is Path.mkdir:
        assert list((tmp_path / "odd.png").iterdir()) == [tmp_path / "odd.png" / "good.png"]
    else:
        assert done.returncode == 1
        assert b"odd.png: cannot be written: is a " in done.stderr
    assert os.path.samestat(before, os.lstat("odd.png"))


@pytest.mark.parametrize(
    "arguments",
    [["--quality", "0"], ["--quality", "101"], ["--quality", "x"], ["-o", "a.xyz"]],
    ids=" ".join,
)
def test_wrong_arguments_stop_before_any_work(arguments: list[str], tmp_path: Path) -> None:
    """An argument that no picture can be written with is exit code 2."""
    picture(tmp_path / "a.png")
    done = drht("a.png", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


SHELL = {
    "closed pipe": '"$@" | head -0; exit ${PIPESTATUS[0]}',
    "closed": '"$@" >&-',
    "full": '"$@" >/dev/full',
}


@pytest.mark.parametrize("json_", [False, True])
@pytest.mark.parametrize("end", SHELL)
def test_stdout_that_fails(end: str, json_: bool, tmp_path: Path) -> None:
    """Pictures are corrected though their names cannot be printed; stderr says so, exit code 1."""
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    command = [*DRHT, "correct", "a.png", "b.png", *(["--json"] if json_ else [])]
    done = subprocess.run(
        ["bash", "-c", SHELL[end], "bash", *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    told = [line for line in done.stderr.decode().splitlines() if line.startswith("drht: ")]
    assert done.returncode == 1
    assert len(told) == 1
    assert told[0].startswith("drht: stdout cannot be written: ")
    assert b"Traceback" not in done.stderr
    for name in ("a", "b"):
        assert io.read_picture(tmp_path / f"{name}-corrected.png").shape == (48, 64, 3)


def test_help_into_a_full_disk() -> None:
    """Help that cannot be printed is exit code 1, without a traceback."""
    done = subprocess.run(
        ["bash", "-c", '"$@" >/dev/full', "bash", *DRHT, "--help"],
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"drht: stdout cannot be written: No space left")


@pytest.mark.parametrize("megabytes", [300, 600, 900, 1100, 1500])
def test_little_address_space(megabytes: int, tmp_path: Path) -> None:
    """A low `ulimit -v` ends in a line of words, not in a traceback; nothing is left."""
    picture(tmp_path / "a.png")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    done = drht("a.png", "--quiet", cwd=tmp_path, preexec_fn=limit)
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    written = {path.name for path in tmp_path.iterdir()} - {"a.png"}
    assert written == ({"a-corrected.png"} if done.returncode == 0 else set())
    if done.returncode:
        assert b"drht: " in done.stderr
