"""`drht compare` and `drht correct --compare`, as they are typed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import io_samples as made
import numpy as np
import pytest
from compare_pages import entries, seen
from PIL import Image

from drht_plugin.cli import main

DRHT = [sys.executable, "-m", "drht_plugin.cli"]


def dark(path: Path, height: int = 96, width: int = 128) -> Path:
    codes = (made.values(3, "uint8", height, width) * 0.25).astype(np.uint8)
    plain = path.parent / f"plain{path.suffix}"
    Image.fromarray(codes).save(plain)
    shutil.move(plain, path)
    return path


def test_compare_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pair makes a page, whose index is printed; a page that is there is kept."""
    first, second = dark(tmp_path / "a.png"), dark(tmp_path / "b.png")
    page = tmp_path / "new" / "page"
    command = ["compare", str(first), str(second), "-o", str(page)]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{page / 'index.html'}\n"
    assert [entry["name"] for entry in entries(page)] == ["a.png"]
    assert main(command) == 2
    assert "already exists; --overwrite replaces it" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_compare_refuses_other_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sizes are exit code 2, and both files are named with theirs."""
    first, second = dark(tmp_path / "a.png"), dark(tmp_path / "b.png", 97)
    assert main(["compare", str(first), str(second), "-o", str(tmp_path / "page")]) == 2
    said = capsys.readouterr().err
    assert f"{first} has 128×96 pixels and {second} has 128×97" in said
    assert not (tmp_path / "page").exists()


def test_compare_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders are paired by name; what is bad or alone is named, and makes exit code 1."""
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
        for name in ("a.png", "bad.png"):
            dark(tmp_path / folder / name)
    dark(tmp_path / "before" / "alone.png")
    (tmp_path / "after" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    folders = [str(tmp_path / "before"), str(tmp_path / "after")]
    assert main(["compare", *folders, "-o", str(tmp_path / "page")]) == 1
    said = capsys.readouterr().err
    assert f"alone.png: has no counterpart in {folders[1]}" in said
    assert f"{folders[0]}/bad.png: is not on the page: bad.png: " in said
    assert [entry["name"] for entry in entries(tmp_path / "page")] == ["a.png"]


def test_correct_with_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--compare shows each picture, its result and its estimate; a bad one is left out."""
    names = [dark(tmp_path / name) for name in ("a.jpg", "b.png")]
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    page, out = tmp_path / "page", tmp_path / "out"
    command = ["correct", *map(str, [*names, bad]), "-o", str(out), "--hdr", "--compare", str(page)]
    assert main(command) == 1
    assert capsys.readouterr().out.endswith(f"{page / 'index.html'}\n")
    shown = entries(page)
    assert [entry["name"] for entry in shown] == ["a.jpg", "b.png"]
    assert all({"before", "after", "hdr"} <= set(entry) for entry in shown)
    corrected = np.asarray(Image.open(out / "b.png"))
    assert np.abs(seen(page, "after", 1).astype(int) - corrected).mean() < 3
    assert seen(page, "before", 1).mean() < 0.8 * seen(page, "after", 1).mean()


def test_a_page_that_cannot_be_written_is_found_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is taken, or holds results, is exit code 2 before any picture is touched."""
    picture = dark(tmp_path / "a.png")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "diary.txt").write_text("mine")
    assert main(["correct", str(picture), "--compare", str(taken), "--overwrite"]) == 2
    assert "holds other files than a page" in capsys.readouterr().err
    into = str(tmp_path / "out")
    assert main(["correct", str(picture), "-o", f"{into}/x.png", "--compare", into]) == 2
    assert "where the page goes" in capsys.readouterr().err
    assert main(["correct", str(picture), "--compare", str(tmp_path)]) == 2
    page = str(tmp_path / "page")
    itself = ["correct", str(picture), "-o", str(picture), "--overwrite", "--compare", page]
    assert main(itself) == 2
    assert "needs the picture before" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "taken"}


def test_stdin_and_a_folder(tmp_path: Path) -> None:
    """A picture from stdin, and those of a folder, are on the page."""
    picture = dark(tmp_path / "a.png")
    command = [*DRHT, "correct", "-", "-o", "b.png", "--compare", "page"]
    done = subprocess.run(
        command, input=picture.read_bytes(), cwd=tmp_path, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert seen(tmp_path / "page", "before").shape == (96, 128, 3)
    (tmp_path / "photos").mkdir()
    dark(tmp_path / "photos" / "x.png")
    folder = [str(tmp_path / "photos"), "-o", str(tmp_path / "out")]
    assert main(["correct", *folder, "--compare", str(tmp_path / "all")]) == 0
    assert [entry["name"] for entry in entries(tmp_path / "all")] == ["x.png"]


def test_json_stays_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, stdout holds nothing but JSON."""
    picture = dark(tmp_path / "a.png")
    assert main(["correct", str(picture), "--json", "--compare", str(tmp_path / "page")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["source"] for line in lines] == [str(picture)]
    assert (tmp_path / "page" / "index.html").is_file()


def test_a_rerun_completes_the_page(tmp_path: Path) -> None:
    """With --skip-existing the page shows results of earlier runs, too, and replaces theirs."""
    (tmp_path / "in").mkdir()
    for name in ("a.png", "c.png"):
        dark(tmp_path / "in" / name)
    (tmp_path / "in" / "b.png").write_bytes(b"no picture")
    command = ["correct", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--skip-existing"]
    command += ["--compare", str(tmp_path / "page"), "--quiet"]
    assert main(command) == 1
    dark(tmp_path / "in" / "b.png")
    for _ in range(2):
        assert main(command) == 0
        assert [entry["name"] for entry in entries(tmp_path / "page")] == [
            "a.png",
            "b.png",
            "c.png",
        ]


def test_no_picture_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no picture could be corrected, there is no page, and stderr says so."""
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert main(["correct", str(tmp_path / "a.png"), "--compare", str(tmp_path / "page")]) == 1
    assert "no page is written" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Such files and folders are compared, and their names are shown escaped."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff"))
    folder.mkdir()
    first = dark(folder / os.fsdecode(b"caf\xe9\x1b.png"))
    page = folder / os.fsdecode(b"page\xe8")
    done = subprocess.run(
        [*DRHT, "compare", first, first, "-o", page], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"page\\xe8/index.html" in done.stdout
    assert entries(page)[0]["name"] == "caf\\xe9\\x1b.png"
    assert seen(page, "before").shape == (96, 128, 3)


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_terminated_in_mid_page(tmp_path: Path) -> None:
    """SIGTERM while a page is written ends in 143 at once, and leaves nothing."""
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((12000, 12000), np.uint8)).save(path, compress_level=1)
    command = [*DRHT, "compare", str(path), str(path), "-o", str(tmp_path / "page")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".drht-*/new/pictures/1/*/1*")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.png"}
