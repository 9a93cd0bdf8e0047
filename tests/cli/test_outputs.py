"""What `drht correct` must not write over, the HDR estimate included."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import io_samples as made
import pytest
from strategies import corrector

from drht_plugin import InputError, WriteError, correct_file, io
from drht_plugin.cli import main
from drht_plugin.cli.outputs import Job, Results
from drht_plugin.compare.pairs import find_pairs
from drht_plugin.errors import FileError

STUB = corrector()


def picture(path: Path) -> Path:
    made.pillow(path, made.values(3, "uint8", 48, 64))
    return path


def exr(path: Path) -> Path:
    io.write_hdr(path, made.values(3, "float32", 40, 50))
    return path


def test_an_existing_estimate_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --overwrite a file under the estimate's name stays, and nothing else is written."""
    source = picture(tmp_path / "a.png")
    (tmp_path / "a-hdr.exr").write_bytes(b"mine")
    assert main(["correct", str(source), "--hdr"]) == 1
    assert "a-hdr.exr: already exists; --overwrite replaces it" in capsys.readouterr().err
    assert (tmp_path / "a-hdr.exr").read_bytes() == b"mine"
    assert not (tmp_path / "a-corrected.png").exists()
    assert main(["correct", str(source), "--hdr", "--overwrite", "--quiet"]) == 0
    assert io.read_picture(tmp_path / "a-hdr.exr").shape == (64, 48, 3)


def test_an_estimate_is_named_as_its_result(tmp_path: Path) -> None:
    """Where --output names the one result, the estimate has its name; else the picture's."""
    source = str(picture(tmp_path / "a.png"))
    for output in ("first.tif", "second.png", f"folder{os.sep}"):
        command = ["correct", source, "--hdr", "-o", str(tmp_path / output), "--quiet"]
        assert main([*command, "--strength", "0"]) == 0
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.exr")}
    assert found == {"first-hdr.exr", "second-hdr.exr", "folder/a-hdr.exr"}


def test_estimates_of_one_name(tmp_path: Path) -> None:
    """Estimates that would be one file have their pictures' suffixes; the page finds them."""
    names = ("a.png", "a.jpg", "b.jpg")
    (tmp_path / "in").mkdir()
    sources = [str(picture(tmp_path / "in" / name)) for name in names]
    out, page = tmp_path / "out", tmp_path / "page"
    command = ["correct", *sources, "--hdr", "-o", str(out), "--quiet"]
    assert main([*command, "--compare", str(page)]) == 0
    estimates = {"a.png-hdr.exr", "a.jpg-hdr.exr", "b-hdr.exr"}
    assert {path.name for path in out.iterdir()} == {*names, *estimates}
    pairs, _ = find_pairs(tmp_path / "in", out)
    assert {pair.hdr.name for pair in pairs if pair.hdr} == estimates
    assert main([*command, "--skip-existing"]) == 0


def test_a_result_and_an_estimate_of_one_name(tmp_path: Path) -> None:
    """The estimate of one picture and the result of another stop the command, too."""
    (tmp_path / "in").mkdir()
    sources = [str(picture(tmp_path / "a.png")), str(exr(tmp_path / "in" / "a-hdr.exr"))]
    assert main(["correct", *sources, "--hdr", "-o", str(tmp_path / "out"), "--quiet"]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("link", [os.symlink, os.link, None], ids=["symlink", "hard link", "name"])
def test_an_input_is_no_output(link: Callable[[Path, Path], None] | None, tmp_path: Path) -> None:
    """With --overwrite no result or estimate replaces a picture of the batch, by any name."""
    (tmp_path / "in").mkdir()
    source = picture(tmp_path / "in" / "a.png")
    for output, other in (("a-hdr.exr", exr), ("a-corrected.png", picture)):
        place = tmp_path / "in" / output
        precious = other(place if link is None else tmp_path / f"precious{place.suffix}")
        if link is not None:
            link(precious, place)
        before = precious.read_bytes()
        arguments = ["correct", str(source), str(precious), "--hdr", "--overwrite"]
        assert main(arguments) == 2
        assert precious.read_bytes() == before
        assert {path.name for path in (tmp_path / "in").iterdir()} == {"a.png", output}
        place.unlink()


def test_results_of_a_batch_do_not_replace_each_other(tmp_path: Path) -> None:
    """Where a disk takes two names for one, the second picture is refused, even to overwrite."""
    results = Results(overwrite=True)
    first = Job("in/A.png", "in/A.png", picture(tmp_path / "A.png"), None)
    results.require_free(first)
    results.add(first)
    (tmp_path / "a.png").symlink_to(tmp_path / "A.png")  # what a disk without cases shows
    with pytest.raises(FileError, match=r"a\.png: is the result of in/A\.png"):
        results.require_free(Job("in/a.png", "in/a.png", tmp_path / "a.png", None))


@pytest.mark.parametrize("same", ["source", "target"])
def test_the_library_refuses_them_too(same: str, tmp_path: Path) -> None:
    """`correct_file` refuses an estimate that is the source or the target, also by a link."""
    source, target = exr(tmp_path / "a.exr"), tmp_path / "b.exr"
    before = source.read_bytes()
    link = tmp_path / "hdr.exr"
    link.symlink_to(source if same == "source" else target)
    for hdr in (link, source if same == "source" else target):
        with pytest.raises(InputError, match=rf"which is the {same}"):
            correct_file(source, target, hdr=hdr, corrector=STUB)
    assert source.read_bytes() == before
    assert not target.exists()


@pytest.mark.parametrize("failing", ["target", "hdr"])
@pytest.mark.parametrize("existing", [False, True])
def test_both_files_or_none(
    failing: str, existing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When one of both cannot be put in its place, the other is as it was before."""
    source, target, hdr = picture(tmp_path / "a.png"), tmp_path / "b.png", tmp_path / "b.exr"
    if existing:
        for path in (target, hdr):
            path.write_bytes(path.name.encode())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace, bad = os.replace, target if failing == "target" else hdr

    def fail(new: Path, old: Path) -> None:
        if Path(old) == bad and Path(new).name != "replaced":
            raise OSError(5, "Input/output error")
        replace(new, old)

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(WriteError, match=rf"^{bad.name}: cannot be written: Input/output error"):
        correct_file(source, target, hdr=hdr, corrector=STUB)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
