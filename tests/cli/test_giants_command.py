"""`drht correct` of pictures in Zarr, and of TIFF files whose results are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from clusters import level
from strategies import picture

import drht_plugin
from drht_plugin import cli

zarr = pytest.importorskip("zarr", reason="zarr is not installed")


@pytest.fixture
def giant(tmp_path: Path) -> Path:
    zarr.create_array(tmp_path / "a.zarr", data=picture(300, 280, 3, "uint8"), chunks=(64, 64, 3))
    return tmp_path / "a.zarr"


def run(*arguments: Any) -> int:
    return cli.main(["correct", *map(str, arguments), "--device", "cpu"])


def test_names_and_level(giant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture in Zarr goes beside itself, to a name, into a folder, and to an address."""
    expected = drht_plugin.correct(picture(300, 280, 3, "uint8"), strength=0.5, device="cpu")
    goals = [tmp_path / "a-corrected.zarr", tmp_path / "b.zarr", tmp_path / "f" / "a.zarr"]
    (tmp_path / "f").mkdir()
    given: list[list[Any]] = [[], ["-o", goals[1]], ["-o", tmp_path / "f"]]
    for goal, where in zip(goals, given, strict=True):
        assert run(giant, "--strength", 0.5, "--block", 128, *where) == 0
        assert capsys.readouterr().out == f"{giant} -> {goal}\n"
        assert np.array_equal(level(goal), expected)
    assert run(f"file://{giant}", "-o", f"file://{tmp_path}/c.zarr", "--strength", 0.5) == 0
    assert np.array_equal(level(tmp_path / "c.zarr"), expected)


def test_tiff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tiled TIFF file goes to Zarr where the output is called so; --json tells what was done."""
    image = picture(300, 280, 3, "uint16")
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(128, 128), photometric="rgb")
    assert run(tmp_path / "a.tif", "-o", tmp_path / "a.zarr", "--json", "--block", 128) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["height"], report["width"], report["dtype"]) == (300, 280, "uint16")
    assert (report["blocks"], report["kept"]) == (3, 0)
    assert np.array_equal(level(tmp_path / "a.zarr"), drht_plugin.correct(image, device="cpu"))


def test_workers(giant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Processes of this machine give the same result."""
    pytest.importorskip("distributed", reason="distributed is not installed")
    assert run(giant, "-o", tmp_path / "b.zarr", "--scheduler", "local:2", "--block", 128) == 0
    assert capsys.readouterr().out == f"{giant} -> {tmp_path / 'b.zarr'}\n"
    expected = drht_plugin.correct(picture(300, 280, 3, "uint8"), device="cpu")
    assert np.array_equal(level(tmp_path / "b.zarr"), expected)


def test_existing_results(giant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A result that is there is an error, kept with --skip-existing, replaced with --overwrite."""
    goal = tmp_path / "out.zarr"
    assert run(giant, "-o", goal) == 0
    before = level(goal)
    assert run(giant, "-o", goal, "--strength", 0) == 1
    assert "out.zarr: already exists" in capsys.readouterr().err
    assert run(giant, "-o", goal, "--strength", 0, "--skip-existing") == 0
    assert np.array_equal(level(goal), before)
    assert run(giant, "-o", goal, "--strength", 0, "--overwrite") == 0
    assert np.array_equal(level(goal), picture(300, 280, 3, "uint8"))
    assert sorted(os.listdir(tmp_path)) == ["a.zarr", "out.zarr"]


def test_a_dry_run(giant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells of each picture what a run would do, and what would fail, and writes nothing."""
    (tmp_path / "out").mkdir()
    zarr.create_array(tmp_path / "out" / "a.zarr", data=picture(30, 30, 3, "uint8"))
    before = sorted(tmp_path.rglob("*"))
    common = [giant, tmp_path / "no.zarr", "-o", tmp_path / "out", "--dry-run"]
    goals = [str(tmp_path / "out" / f"{name}.zarr") for name in ("a", "no")]
    assert run(*common, "--json") == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["target"], each["dry_run"]) for each in told] == [(g, True) for g in goals]
    assert [each["kind"] for each in told] == ["WriteError", "ReadError"]
    assert run(*common, "--overwrite") == 1
    out, err = capsys.readouterr()
    assert out == f"{giant} -> {goals[0]} (would be replaced)\n"
    assert "no.zarr: does not exist" in err
    assert run(*common, "--skip-existing") == 1
    assert capsys.readouterr().out.endswith("(exists already, would be skipped)\n")
    assert run(giant, "-o", tmp_path / "b.zarr", "--dry-run") == 0
    assert capsys.readouterr().out == f"{giant} -> {tmp_path / 'b.zarr'} (would be written)\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_lines_of_several(
    giant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures are named as they were given, and the last line sums up, as for files."""
    name = os.fsdecode(b"a\xe9.zarr")
    giant.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    given, goals = [name, "no.zarr"], [os.path.join("new/out", n) for n in (name, "no.zarr")]
    assert run(*given, "-o", "new/out", "--json", "--block", 128) == 1
    out, err = capsys.readouterr()
    *told, summed = [json.loads(line) for line in out.splitlines()]
    assert [(each["source"], each["target"]) for each in told] == list(
        zip(given, goals, strict=True)
    )
    assert told[1]["error"] == "no.zarr: does not exist"
    assert err == "drht: no.zarr: does not exist\ndrht: 1 of 2 pictures failed\n"
    counts = {"pictures": 2, "corrected": 1, "left_alone": 0, "skipped": 0, "failed": 1}
    assert counts.items() <= summed["summary"].items()
    assert run(name, "-o", f"file://{tmp_path}/new/out/{name}", "--skip-existing", "--json") == 0
    assert json.loads(capsys.readouterr().out)["skipped"] is True


def test_a_failure_does_not_end_the_others(
    giant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture that is missing is named, and the next one is corrected."""
    (tmp_path / "out").mkdir()
    assert run(tmp_path / "no.zarr", giant, "-o", tmp_path / "out", "--quiet") == 1
    assert "no.zarr: does not exist" in capsys.readouterr().err
    assert os.listdir(tmp_path / "out") == ["a.zarr"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--hdr"], "--hdr does not apply"),
        (["--bits", "16"], "--bits does not apply"),
        (["--damaged", "keep"], "--damaged does not apply"),
        (["-o", "out.tif"], "giants are written to Zarr"),
        (["-o", "noname://a/b.zarr"], "fsspec cannot open it"),
        (["b.zarr", "-o", "out.zarr"], "one picture for several"),
        (["--block", "100"], "power of two"),
        (["--scheduler", "local:2", "--threads", "1"], "--threads does not apply"),
        (["--scheduler", "local:2", "-o", "memory://a.zarr"], "memory of this process"),
        (["--scheduler", "tcp://127.0.0.1:9"], "no scheduler answers"),
    ],
)
def test_what_is_refused(
    more: list[str],
    words: str,
    giant: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Options that do not apply to giants, and outputs that cannot be, end with 2 at once."""
    monkeypatch.chdir(tmp_path)
    try:
        code = run(giant, *more)
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    assert words in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["a.zarr"]
