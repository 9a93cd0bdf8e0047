"""What `drht correct` takes: folders, patterns, stdin, and files under wrong names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import io_samples as made
import numpy as np
import pytest
from PIL import Image

from drht_plugin import io
from drht_plugin.cli import main
from drht_plugin.cli.inputs import open_inputs

FAST = ["--strength", "0", "--quiet"]


def picture(path: Path) -> Path:
    """Write a small picture, in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.pillow(path, made.values(3, "uint8", 32, 40), exif=None, icc_profile=None)
    return path


def under(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder as photographers have it: pictures, sidecars, hidden files, folders."""
    folder = tmp_path / "photos"
    for name in ("a.jpg", "B.PNG", "2024/c.tif", "2024/trip/a.jpg", ".hidden.jpg", ".cache/d.jpg"):
        picture(folder / name)
    for name in ("a.xmp", "notes.txt", "2024/clip.mov", "2024/Thumbs.db", "._a.jpg"):
        (folder / name).write_bytes(b"not a picture")
    return folder


@pytest.mark.parametrize("recursive", [False, True])
def test_folder(recursive: bool, photos: Path, tmp_path: Path) -> None:
    """A folder stands for its pictures; --recursive takes and keeps its folders; the rest is quiet.

    Sidecars, hidden files and hidden folders are left out without a word.
    """
    options = ["--recursive"] if recursive else []
    out = tmp_path / "out"
    assert main(["correct", str(photos), "-o", str(out), *options, *FAST]) == 0
    deeper = {"2024/c.tif", "2024/trip/a.jpg"} if recursive else set()
    assert under(out) == {"a.jpg", "B.PNG"} | deeper


def test_results_beside_the_pictures(photos: Path) -> None:
    """Results beside pictures of a folder are no inputs of the next run."""
    for overwrite in ([], ["--overwrite"]):
        assert main(["correct", str(photos), "-r", "--hdr", *FAST, *overwrite]) == 0
    found = {name for name in under(photos) if "-" in name}
    stems = ("a", "2024/c", "2024/trip/a", "B")
    assert {name for name in found if name.endswith("-hdr.exr")} == {f"{s}-hdr.exr" for s in stems}
    assert len(found) == 8


def test_output_within_the_folder(photos: Path) -> None:
    """Results in a folder within the folder are no inputs of the next run."""
    for _ in range(2):
        out = photos / "out"
        assert main(["correct", str(photos), "-r", "-o", str(out), "--overwrite", *FAST]) == 0
    assert under(out) == {"a.jpg", "B.PNG", "2024/c.tif", "2024/trip/a.jpg"}


def test_a_folder_with_one_picture(tmp_path: Path) -> None:
    """The output of a folder is a folder, whatever it is called."""
    picture(tmp_path / "in" / "a.png")
    out = tmp_path / "shots.v2"
    assert main(["correct", str(tmp_path / "in"), "-o", str(out), *FAST]) == 0
    assert under(out) == {"a.png"}


def test_a_folder_without_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without pictures stops the command, which says what --recursive does."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    picture(tmp_path / "in" / "deep" / "a.png")
    assert main(["correct", str(tmp_path / "in"), *FAST]) == 2
    assert "in: has no pictures that are read; --recursive" in capsys.readouterr().err
    assert main(["correct", str(tmp_path / "in"), "-r", *FAST]) == 0


def test_a_bad_picture_of_a_folder_is_an_error(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that a folder holds under a picture's name and that is none is named, exit code 1."""
    (photos / "bad.jpg").write_bytes(b"no picture")
    assert main(["correct", str(photos), "-o", str(tmp_path / "out"), *FAST]) == 1
    assert f"{photos}/bad.jpg: is not a JPEG picture" in capsys.readouterr().err
    assert under(tmp_path / "out") == {"a.jpg", "B.PNG"}


def test_a_named_sidecar_is_an_error(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no picture is refused where it is named itself."""
    assert main(["correct", str(photos / "a.xmp"), *FAST]) == 1
    assert "a.xmp: is not a picture that is read" in capsys.readouterr().err


def test_patterns(photos: Path, tmp_path: Path) -> None:
    """A pattern that the shell left alone is expanded; a file of that very name comes first."""
    out = tmp_path / "out"
    assert main(["correct", str(photos / "**" / "*.jpg"), "-o", str(out), *FAST]) == 2  # two a.jpg
    assert main(["correct", str(photos / "*.[jP]*"), "-o", str(out), *FAST]) == 0
    assert under(out) == {"a.jpg", "B.PNG"}
    odd = picture(tmp_path / "x[1].png")
    picture(tmp_path / "x1.png")
    with open_inputs([str(odd)], recursive=False, output=None) as found:
        assert [each.path for each in found] == [str(odd)]


def test_options_between_pictures(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures may be named before, between and after options, and after `--` with a dash."""
    other, out = picture(tmp_path / "other.png"), tmp_path / "out"
    command = ["correct", str(photos / "a.jpg"), *FAST, str(other), "-o", str(out), "-r"]
    assert main([*command, str(photos / "B.PNG")]) == 0
    assert under(out) == {"a.jpg", "other.png", "B.PNG"}
    picture(tmp_path / "-x.png")
    monkeypatch.chdir(tmp_path)
    for end in (["--", "-x.png"], ["other.png", "--", "-x.png"], ["--", "-x.png", "other.png"]):
        assert main(["correct", *FAST, "-o", f"{len(os.listdir())}{os.sep}", *end]) == 0
    assert len(list(tmp_path.glob("*/-x.png"))) == 3


def test_a_pattern_without_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pattern that nothing fits is a missing file."""
    assert main(["correct", str(tmp_path / "*.jpg"), *FAST]) == 1
    assert "*.jpg: cannot be read: No such file" in capsys.readouterr().err


def test_one_file_twice(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is named twice, or found in a folder too, is corrected once."""
    monkeypatch.chdir(photos)
    names = ["a.jpg", "./a.jpg", str(photos / "a.jpg"), ".", "*.jpg"]
    with open_inputs(names, recursive=False, output=None) as found:
        assert [each.source for each in found] == ["a.jpg", "./B.PNG"]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".exr"])
def test_stdin(suffix: str, tmp_path: Path) -> None:
    """`-` reads stdin, whose content says the format; the result goes where --output says."""
    if suffix == ".exr":
        io.write_hdr(tmp_path / "a.exr", made.values(3, "float32", 40, 50))
    else:
        picture(tmp_path / f"a{suffix}")
    for out in (tmp_path / f"b{suffix}", tmp_path / "folder"):
        command = [sys.executable, "-m", "drht_plugin.cli", "correct", "-", "-o", str(out)]
        with (tmp_path / f"a{suffix}").open("rb") as file:
            command += ["--strength", "0", "--json"]
            done = subprocess.run(command, stdin=file, capture_output=True, check=True)
        report = json.loads(done.stdout)
        assert report["source"] == "-"
        written = out if out.suffix else out / f"stdin{suffix}"
        assert report["target"] == str(written)
        left, right = (io.read_picture(p).pixels for p in (tmp_path / f"a{suffix}", written))
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("data", "options", "code", "words"),
    [
        (b"", ["-o", "b.png"], 1, b"-: is empty (0 bytes)"),
        (b"text", ["-o", "b.png"], 1, b"-: is not a picture that is read"),
        (b"", [], 2, b"--output says where"),
    ],
    ids=["empty", "text", "nowhere"],
)
def test_stdin_refused(
    data: bytes, options: list[str], code: int, words: bytes, tmp_path: Path
) -> None:
    """What stdin brings that is no picture is an error by its name, `-`; nothing is left behind."""
    command = [sys.executable, "-m", "drht_plugin.cli", "correct", "-", *options]
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(
        command, input=data, capture_output=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == code
    assert words in done.stderr
    assert under(tmp_path) == set()


@pytest.mark.parametrize(
    ("real", "name", "result"),
    [
        ("png", "a.jpg", "a-corrected.png"),
        ("jpg", "a.JPG", "a-corrected.JPG"),
        ("jpg", "a.dat", "a-corrected.jpg"),
        ("tif", "a", "a-corrected.tif"),
        ("bmp", "a.bmp", "a-corrected.png"),
        ("gif", "a.gif", "a-corrected.png"),
        ("pbm", "a.pbm", "a-corrected.ppm"),
    ],
)
def test_the_result_is_what_its_name_says(
    real: str, name: str, result: str, tmp_path: Path
) -> None:
    """A result gets the suffix of its content, and that of a format that can be written."""
    if real == "pbm":
        Image.fromarray(made.values(1, "uint8")[..., 0]).convert("1").save(tmp_path / name)
    else:
        picture(tmp_path / f"x.{real}").rename(tmp_path / name)
    assert main(["correct", str(tmp_path / name), *FAST]) == 0
    assert under(tmp_path) == {name, result}
    with Image.open(tmp_path / result) as image:
        assert Image.registered_extensions()[Path(result).suffix.lower()] == image.format


def test_names_that_meet(tmp_path: Path) -> None:
    """Results that would have one name, as their formats are only read, keep the old suffix."""
    for name in ("a.bmp", "a.gif", "a.png"):
        picture(tmp_path / "in" / name)
    assert main(["correct", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *FAST]) == 0
    assert under(tmp_path / "out") == {"a.bmp.png", "a.gif.png", "a.png"}
