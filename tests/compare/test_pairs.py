"""Which pictures of two folders belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from drht_plugin.compare import Pair, find_pairs
from drht_plugin.errors import InputError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def test_pictures_belong_together_by_name(tmp_path: Path) -> None:
    """The same name comes first, then the name but for the suffix, then NAME-corrected."""
    before = touch(tmp_path / "b", "a.jpg", "a.png", "b.tif", "sub/c.jpg", "notes.txt", ".d.jpg")
    names = ("a.jpg", "a.png", "b.jxl", "b-hdr.exr", "sub/c-corrected.jpg", "sub/c-hdr.exr")
    after = touch(tmp_path / "a", *names)
    pairs, left_out = find_pairs(before, after)
    assert pairs == [
        Pair("a.jpg", before / "a.jpg", after / "a.jpg"),
        Pair("a.png", before / "a.png", after / "a.png"),
        Pair("b.tif", before / "b.tif", after / "b.jxl", after / "b-hdr.exr"),
        Pair(
            "sub/c.jpg",
            before / "sub/c.jpg",
            after / "sub/c-corrected.jpg",
            after / "sub/c-hdr.exr",
        ),
    ]
    assert left_out == {}


def test_suffixes_that_tell_results_apart(tmp_path: Path) -> None:
    """`drht correct` gives a result a second suffix where another has its name."""
    before = touch(tmp_path / "b", "a.pbm", "a.png")
    after = touch(tmp_path / "a", "a.pbm.png", "a.png")
    pairs, left_out = find_pairs(before, after)
    assert [pair.after.name for pair in pairs] == ["a.pbm.png", "a.png"]
    assert left_out == {}


def test_a_raw_file_beside_its_jpeg(tmp_path: Path) -> None:
    """A result that has the name of one picture is not another's."""
    before = touch(tmp_path / "b", "a.dng", "a.jpg")
    after = touch(tmp_path / "a", "a.tif", "a.jpg", "a.dng-hdr.exr", "a.jpg-hdr.exr")
    pairs, left_out = find_pairs(before, after)
    assert pairs == [
        Pair("a.dng", before / "a.dng", after / "a.tif", after / "a.dng-hdr.exr"),
        Pair("a.jpg", before / "a.jpg", after / "a.jpg", after / "a.jpg-hdr.exr"),
    ]
    assert left_out == {}


def test_pictures_without_a_counterpart_are_named(tmp_path: Path) -> None:
    """What is in one folder only, or fits several pictures, is left out with the reason."""
    before = touch(tmp_path / "b", "a.jpg", "both.tif", "gone.jpg")
    after = touch(tmp_path / "a", "a.jpg", "both.jpg", "both.png", "new.jpg")
    pairs, left_out = find_pairs(before, after)
    assert [pair.name for pair in pairs] == ["a.jpg"]
    assert left_out[before / "gone.jpg"] == f"has no counterpart in {after}"
    assert left_out[before / "both.tif"].endswith(f"in {after}: both.jpg, both.png")
    assert left_out[after / "new.jpg"] == f"has no counterpart in {before}"


def test_one_folder_of_pictures_and_results(tmp_path: Path) -> None:
    """Results that lie beside their pictures are paired, too."""
    folder = touch(tmp_path, "a.jpg", "a-corrected.jpg", "a-hdr.exr")
    pairs, _ = find_pairs(folder, folder)
    assert pairs == [
        Pair("a.jpg", folder / "a.jpg", folder / "a-corrected.jpg", folder / "a-hdr.exr")
    ]


def test_an_estimate_by_the_name_of_the_picture_after(tmp_path: Path) -> None:
    """Of two files, the estimate of the result's name comes before that of the picture's."""
    folder = touch(tmp_path, "a.jpg", "b.jpg", "a-hdr.exr", "b-hdr.exr")
    [pair], _ = find_pairs(folder / "a.jpg", folder / "b.jpg")
    assert pair.hdr == folder / "b-hdr.exr"
    (folder / "b-hdr.exr").unlink()
    [pair], _ = find_pairs(folder / "a.jpg", folder / "b.jpg")
    assert pair.hdr == folder / "a-hdr.exr"


def test_estimates_of_another_folder(tmp_path: Path) -> None:
    """`hdr` names the folder of the estimates."""
    before, after = touch(tmp_path / "b", "s/a.jpg"), touch(tmp_path / "a", "s/a.jpg")
    estimates = touch(tmp_path / "e", "s/a-hdr.exr")
    [pair], _ = find_pairs(before, after, estimates)
    assert pair.hdr == estimates / "s" / "a-hdr.exr"


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    """A file and a folder are refused by name, and so are folders with nothing in common."""
    before, after = touch(tmp_path / "b", "a.jpg"), touch(tmp_path / "a", "b.jpg")
    with pytest.raises(InputError, match=r"a\.jpg: is not a folder"):
        find_pairs(before / "a.jpg", after)
    with pytest.raises(InputError, match="no pictures in them have names that belong together"):
        find_pairs(before, after)
