"""The folder of a page: whole or not at all, with all that it needs, and nothing of others'."""

from __future__ import annotations

import os
import re
from pathlib import Path

import io_samples as made
import numpy as np
import pytest
from compare_pages import entries, seen, smooth
from PIL import Image

import drht_plugin
from drht_plugin.compare import Pair, write_page
from drht_plugin.errors import DrhtError, InputError, ReadError, WriteError
from drht_plugin.io import write_hdr


def picture(path: Path, gray: int = 90, size: tuple[int, int] = (40, 60)) -> Path:
    Image.fromarray(np.full((*size, 3), gray, np.uint8)).save(path)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair("a.png", picture(tmp_path / "a.png", 40), picture(tmp_path / "b.png", 200))


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_page_brings_what_it_needs(pair: Pair, tmp_path: Path) -> None:
    """Every file that the page's text names is in the folder, and nothing is left beside it."""
    page = write_page([pair], tmp_path / "page")
    assert page.index == tmp_path / "page" / "index.html"
    assert page.failures == ()
    html = page.index.read_text("utf-8")
    named = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', html)
    assert len(named) == 6
    assert all((tmp_path / "page" / name).is_file() for name in named)
    assert "default-src 'none'" in html
    assert names(tmp_path) == {"a.png", "b.png", "page"}
    assert names(tmp_path / "page") == {"index.html", "pictures.js", "viewer", "pictures"}
    assert seen(tmp_path / "page", "before")[20, 30] == pytest.approx([40] * 3, abs=2)
    assert seen(tmp_path / "page", "after")[20, 30] == pytest.approx([200] * 3, abs=2)


def test_viewer_has_its_licence() -> None:
    """OpenSeadragon is of the release that `.ci/vendor.py` names, and its licence is beside it."""
    folder = Path(drht_plugin.__file__).parent / "compare" / "viewer" / "openseadragon"
    assert "OpenSeadragon contributors" in (folder / "LICENSE.txt").read_text("utf-8")
    script = Path(drht_plugin.__file__).parents[1] / ".ci" / "vendor.py"
    if not script.is_file():
        pytest.skip("the package is installed without its sources")
    [version] = re.findall(r'^VERSION = "(.*)"$', script.read_text("utf-8"), re.MULTILINE)
    first = (folder / "openseadragon.min.js").read_text("utf-8").splitlines()[0]
    assert first == f"//! openseadragon {version}"


def test_pictures_of_two_sizes(tmp_path: Path) -> None:
    """A pair, or an estimate, of another size is refused by name and size; nothing is written."""
    first, other = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", size=(60, 40))
    wrong = r"a\.png has 60×40 pixels and .*b\.png has 40×60"
    with pytest.raises(InputError, match=wrong):
        write_page([Pair("good", first, first), Pair("bad", first, other)], tmp_path / "page")
    write_hdr(tmp_path / "e.exr", np.ones((40, 61, 3), np.float32))
    with pytest.raises(InputError, match=r"e\.exr has 61×40"):
        write_page([Pair("bad", first, first, tmp_path / "e.exr")], tmp_path / "page")
    assert names(tmp_path) == {"a.png", "b.png", "e.exr"}


def test_turned_pictures_are_compared_upright(tmp_path: Path) -> None:
    """One side may be stored turned; the estimate lies upright."""
    codes = np.rint(smooth() * 255).astype(np.uint8)
    Image.fromarray(np.rot90(codes)).save(tmp_path / "a.jpg", quality=98, exif=made.exif(6))
    Image.fromarray(codes).save(tmp_path / "b.png")
    write_hdr(tmp_path / "e.exr", smooth())
    pair = Pair("a", tmp_path / "a.jpg", tmp_path / "b.png", tmp_path / "e.exr")
    write_page([pair], tmp_path / "page")
    for part in ("before", "after"):
        assert np.abs(seen(tmp_path / "page", part).astype(int) - codes).max() <= 8
    assert np.abs(seen(tmp_path / "page", "hdr") - smooth()).max() <= 0.003


@pytest.mark.parametrize("held", [0, 1 << 30])
def test_large_turned_pictures(held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that are too large to be turned in memory are turned on the disk, each its own."""
    monkeypatch.setattr("drht_plugin.compare._display._MAX_HELD_BYTES", held)
    codes = np.rint(smooth() * 255).astype(np.uint8)
    for name, pixels in (("a.jpg", codes), ("b.jpg", 255 - codes)):
        Image.fromarray(pixels).save(tmp_path / name, quality=98, exif=made.exif(6))
    pair = Pair("a", tmp_path / "a.jpg", tmp_path / "b.jpg")
    write_page([pair, pair], tmp_path / "page")
    for number in (0, 1):
        for part, pixels in (("before", codes), ("after", 255 - codes)):
            shown = np.rot90(seen(tmp_path / "page", part, number))
            assert np.abs(shown.astype(int) - pixels).max() <= 8
    assert names(tmp_path) == {"a.jpg", "b.jpg", "page"}
    assert not list((tmp_path / "page").rglob("*.v"))


def test_an_unreadable_pair_is_left_out(pair: Pair, tmp_path: Path) -> None:
    """A damaged or missing picture is a failure of its own; the page shows the others."""
    whole = made.values(3, "uint8", 200, 300)
    Image.fromarray(whole).save(tmp_path / "cut.jpg", quality=98)
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    cut = Pair("cut", tmp_path / "cut.jpg", tmp_path / "cut.jpg")
    gone = Pair("gone", pair.before, tmp_path / "gone.png")
    page = write_page([cut, gone, pair], tmp_path / "page")
    assert {failed.name: type(error) for failed, error in page.failures} == {
        "cut": ReadError,
        "gone": ReadError,
    }
    assert [entry["name"] for entry in entries(tmp_path / "page")] == ["a.png"]
    assert len(list((tmp_path / "page" / "pictures").iterdir())) == 1
    with pytest.raises(ReadError, match=r"cut\.jpg"):
        write_page([cut], tmp_path / "none")
    assert not (tmp_path / "none").exists()
    kept = write_page([cut], tmp_path / "kept", damaged="keep")
    assert kept.failures == ()


def test_only_a_page_is_replaced(pair: Pair, tmp_path: Path) -> None:
    """`overwrite` replaces a page, and never a folder that holds anything else."""
    folder = tmp_path / "page"
    write_page([pair], folder)
    with pytest.raises(InputError, match="--overwrite replaces it"):
        write_page([pair], folder)
    write_page([Pair("second", pair.before, pair.after)], folder, overwrite=True)
    assert [entry["name"] for entry in entries(folder)] == ["second"]
    (folder / "diary.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="holds other files than a page"):
            write_page([pair], folder, overwrite=overwrite)
    assert (folder / "diary.txt").read_text() == "mine"
    foreign = tmp_path / "site"
    foreign.mkdir()
    (foreign / "index.html").write_text("<title>mine</title>")
    with pytest.raises(InputError, match="holds other files than a page"):
        write_page([pair], foreign, overwrite=True)
    with pytest.raises(InputError, match="is not a folder"):
        write_page([pair], pair.before, overwrite=True)
    (tmp_path / "empty").mkdir()
    assert write_page([pair], tmp_path / "empty").index.is_file()


def test_a_failed_page_leaves_the_old_one(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fails in mid page, the old page stays, and nothing is left beside it."""
    folder = tmp_path / "page"
    write_page([pair], folder)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("drht_plugin.compare.page.shutil.copytree", fail)
        with pytest.raises(WriteError, match="page: cannot be written: No space left on device"):
            write_page([Pair("new", pair.before, pair.after)], folder, overwrite=True)
    assert [entry["name"] for entry in entries(folder)] == ["a.png"]
    assert names(tmp_path) == {"a.png", "b.png", "page"}


def test_a_page_that_cannot_be_renamed_leaves_the_old_one(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the new folder cannot take its name, the old one takes it back."""
    folder = tmp_path / "page"
    write_page([pair], folder)
    rename = os.rename

    def fail(old: Path, new: Path) -> None:
        if old.name == "new":
            raise PermissionError(13, "Permission denied")
        rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr("drht_plugin.storage.replace_folder.os.rename", fail)
        with pytest.raises(WriteError, match="page: cannot be written: Permission denied"):
            write_page([Pair("new", pair.before, pair.after)], folder, overwrite=True)
    assert [entry["name"] for entry in entries(folder)] == ["a.png"]
    assert names(tmp_path) == {"a.png", "b.png", "page"}


def test_an_interrupted_page_is_not_there(pair: Pair, tmp_path: Path) -> None:
    """Ctrl-C in mid page leaves nothing."""

    def stop(_name: str, share: float) -> None:
        if share == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_page([pair], tmp_path / "page", progress=stop)
    assert names(tmp_path) == {"a.png", "b.png"}


def test_no_pairs(tmp_path: Path) -> None:
    """A page of nothing is refused."""
    with pytest.raises(DrhtError, match="no pictures"):
        write_page([], tmp_path / "page")


def test_a_link_to_a_page_stays_a_link(pair: Pair, tmp_path: Path) -> None:
    """The folder that a link points to is replaced, with the usual permissions."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write_page([pair], tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "index.html").is_file()
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o777 & ~mask


def test_names_are_data(pair: Pair, tmp_path: Path) -> None:
    """Whatever a picture is called, the page's script is ASCII that names it, and no markup."""
    hostile = "</script><script>alert(1)</script>\u2028\x00\udce9"
    write_page([Pair(hostile, pair.before, pair.after)], tmp_path / "page")
    assert (tmp_path / "page" / "pictures.js").read_bytes().isascii()
    assert entries(tmp_path / "page")[0]["name"] == hostile
    assert "alert" not in (tmp_path / "page" / "index.html").read_text("utf-8")


def test_progress(pair: Pair, tmp_path: Path) -> None:
    """Progress rises to 1 for each pair."""
    told: list[tuple[str, float]] = []
    write_page([pair], tmp_path / "page", progress=lambda *now: told.append(now))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert {name for name, _ in told} == {"a.png"}
