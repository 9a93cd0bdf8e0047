"""Where results go, what they are called and what kind they are, as a user asks for it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
from PIL import Image

from drht_plugin import io
from drht_plugin.cli import main
from drht_plugin.cli.correct import add_command

DRHT = [sys.executable, "-m", "drht_plugin.cli", "correct"]


def picture(path: Path, channels: int = 3, dtype: str = "uint8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    make = made.pillow if dtype == "uint8" else made.vips
    make(path, made.values(channels, dtype, 48, 64))
    return path


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--suffix", "-fixed"], "in/a-fixed.png"),
        (["--suffix=-fixed"], "in/a-fixed.png"),
        (["--format", "jpeg"], "in/a-corrected.jpg"),
        (["--format", ".TIF"], "in/a-corrected.tif"),
        (["--format", "webp", "--suffix", "_x"], "in/a_x.webp"),
        (["--format", "jpg", "-o", "out"], "out/a.jpg"),
        (["--suffix", "-fixed", "-o", "out"], "out/a-fixed.png"),
        (["--format", "jpeg", "-o", "b.JPG"], "b.JPG"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, list) else "",
)
def test_names(
    arguments: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--format and --suffix name results beside the picture and in a folder."""
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "in" / "a.png")
    assert main(["correct", "in/a.png", "--quiet", *arguments]) == 0
    assert names(tmp_path) == {"in/a.png", name}
    kind = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WEBP"}
    with Image.open(tmp_path / name) as written:
        assert written.format == kind[Path(name).suffix.lower()]


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("name", ["out.jpg", "out.PNG"])
def test_one_file_for_several_pictures(
    name: str, exists: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file that is named for several pictures is exit code 2, whether it exists or not."""
    sources = [str(picture(tmp_path / each)) for each in ("a.png", "b.png")]
    if exists:
        (tmp_path / name).write_bytes(b"mine")
    before = names(tmp_path)
    for given in (sources, [str(tmp_path)]):
        assert main(["correct", *given, "-o", str(tmp_path / name), "--overwrite"]) == 2
        assert f"{name}: is one file for " in capsys.readouterr().err
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "xyz"],
        ["--format", "heic"],
        ["--suffix", "a/b"],
        ["--suffix", ""],
        ["--bits", "12"],
        ["--background", "nocolour"],
        ["--format", "png", "-o", "b.jpg"],
        ["--suffix", "x", "-o", "b.jpg"],
        ["--skip-existing", "--overwrite"],
        ["--jobs", "0"],
        ["--jobs", "65"],
        ["-o", "-", "--hdr"],
        ["-o", "-", "--resume"],
        ["-o", "", "--overwrite"],
        ["--output=", "--overwrite"],
        ["--compare", "", "--overwrite"],
        ["", "--overwrite"],
    ],
    ids=" ".join,
)
def test_arguments_that_contradict(arguments: list[str], tmp_path: Path) -> None:
    """They are exit code 2, before any picture is touched."""
    before = picture(tmp_path / "a.png").read_bytes()
    done = subprocess.run(
        [*DRHT, "a.png", *arguments], cwd=tmp_path, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert names(tmp_path) == {"a.png"}
    assert (tmp_path / "a.png").read_bytes() == before


def test_bits_that_a_format_lacks_are_the_pictures_own_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A depth that one picture's format does not hold leaves the others alone."""
    picture(tmp_path / "a.jpg"), picture(tmp_path / "b.png")
    both = [str(tmp_path / "a.jpg"), str(tmp_path / "b.png")]
    assert main(["correct", *both, "--bits", "16", "--quiet"]) == 1
    assert "a-corrected.jpg: JPEG does not hold 16 bits; it holds 8" in capsys.readouterr().err
    assert io.read_picture(tmp_path / "b-corrected.png").dtype == np.uint16


def test_what_is_converted_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line on stderr and the report's `converted` say what the target's kind changed."""
    source = picture(tmp_path / "a.png", 4, "uint16")
    said = ["16 bits to 8 bits, dithered", "alpha laid over black"]
    run = ["correct", str(source), "--format", "jpeg", "--background", "black", "--overwrite"]
    assert main(run) == 0
    assert f"drht: {source}: converted: {'; '.join(said)}\n" in capsys.readouterr().err
    assert main([*run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["converted"] == said


def test_stdout_and_stdin(tmp_path: Path) -> None:
    """From stdin to stdout a picture is what it is in files; lines do not mix with it."""
    source = picture(tmp_path / "a.png")
    assert main(["correct", str(source), "--format", "jpeg", "--quiet"]) == 0
    for given, more in ((["a.png"], []), (["-"], []), (["a.png"], ["--json"])):
        done = subprocess.run(
            [*DRHT, *given, "-o", "-", "--format", "jpeg", *more],
            input=source.read_bytes(),
            cwd=tmp_path,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == (tmp_path / "a-corrected.jpg").read_bytes()
        if more:
            assert json.loads(done.stderr.splitlines()[-1])["target"] == "-"
        else:
            assert b" -> -" in done.stderr
    assert names(tmp_path) == {"a.png", "a-corrected.jpg"}


def test_stdout_that_is_full() -> None:
    """A picture that stdout does not take is exit code 1, in words."""
    example = Path(__file__).parents[2] / "examples/pictures/golden_gate_dark.jpg"
    done = subprocess.run(
        ["bash", "-c", '"$@" >/dev/full', "bash", *DRHT, str(example), "-o", "-"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert b"stdout cannot be written: No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names what would be written, converted, skipped and refused, and what would fail."""
    folder = tmp_path / "in"
    for name in ("a.png", "b.png", "c.png"):
        picture(folder / name, 4)
    (folder / "b.png").write_bytes(b"no picture")
    picture(tmp_path / "out" / "c.jpg")
    before = names(tmp_path)
    run = ["correct", str(folder), "-o", str(tmp_path / "out"), "--format", "jpg", "--dry-run"]
    assert main([*run, "--skip-existing"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{folder}/a.png -> {tmp_path}/out/a.jpg (would be written; alpha laid over white)",
        f"{folder}/c.png -> {tmp_path}/out/c.jpg (exists already, would be skipped)",
    ]
    assert f"{folder}/b.png: is not a PNG picture" in err
    assert main([*run, "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("kind") for line in lines] == [None, "ReadError", "FileError"]
    assert lines[0]["converted"] == ["alpha laid over white"]
    assert names(tmp_path) == before


def test_a_dry_run_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names stdout, and no file that would be made for it."""
    source = str(picture(tmp_path / "a.png", 3))
    command = ["correct", source, "-o", "-", "--dry-run"]
    assert main(command) == 0
    assert capsys.readouterr().err == f"{source} -> - (would be written)\n"
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().err)["target"] == "-"


def test_no_arguments_show_three_examples() -> None:
    """`drht correct` alone shows three commands that can be typed, and is exit code 2."""
    done = subprocess.run(DRHT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    examples = [line for line in done.stderr.splitlines() if line.startswith("  drht correct ")]
    assert len(examples) == 3
    assert done.stdout == ""


def test_numbers_in_help_have_a_range_and_a_default() -> None:
    """Each option that takes a number says which ones, and what it is when it is not given."""
    commands: Any = argparse.ArgumentParser().add_subparsers()
    add_command(commands)
    numbers = {"--strength", "--shadows", "--highlights", "--quality", "--threads", "--jobs"}
    numbers |= {"--memory", "--bits"}
    for action in commands.choices["correct"]._actions:
        for name in numbers & set(action.option_strings):
            words = f"{action.metavar or ''} {action.help}"
            assert "default" in words, name
            assert any(c.isdigit() for c in words), name
            numbers.discard(name)
    assert numbers == set()


def test_the_target_is_named_with_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be written is named by the path it was to get, with the picture's before it."""
    source = picture(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "a.png")
    assert main(["correct", str(source), "-o", str(tmp_path / "out"), "--overwrite"]) == 1
    assert f"drht: {source}: {tmp_path}/out/a.png: cannot be written" in capsys.readouterr().err
