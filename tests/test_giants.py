"""Giant pictures from storage to storage, against arrays in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from clusters import level
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DTYPES, Image, picture, seeds

import drht_plugin
from drht_plugin import Corrector, InputError, io
from drht_plugin.bridge.transfer import srgb_decode, srgb_encode
from drht_plugin.engine.survey import sampling
from drht_plugin.errors import DependencyError, ReadError, WriteError

zarr = pytest.importorskip("zarr", reason="zarr is not installed")

from drht_plugin.dask import correct_store  # noqa: E402
from drht_plugin.dask.giants import tasks  # noqa: E402
from drht_plugin.dask.giants.layout import plan_layout  # noqa: E402
from drht_plugin.dask.giants.sides import choose_side, chunk_side  # noqa: E402


@pytest.fixture(scope="session")
def corrector() -> Corrector:
    return Corrector(device="cpu")


def stored(
    path: Path, image: Image, chunks: tuple[int, int], layout: str = "yxc", version: int = 3
) -> Path:
    """Write an image to Zarr: an array, or an OME-Zarr group where the layout says so."""
    sides = tuple(max(1, min(c, n)) for c, n in zip(chunks, image.shape, strict=False))
    if layout == "yxc" or image.ndim == 2:
        sides += image.shape[2:]
        zarr.create_array(path, data=image, chunks=sides, zarr_format=version)
        return path
    planes = np.moveaxis(image, -1, 0)
    if layout == "cyx":
        names = {"dimension_names": ("c", "y", "x")} if version == 3 else {}
        if version == 2 and image.shape[1] <= 4:
            return stored(path, image, chunks)
        zarr.create_array(path, data=planes, chunks=(1, *sides), zarr_format=version, **names)
        return path
    axes = [{"name": name} for name in "tczyx"]
    multiscales = [{"axes": axes, "datasets": [{"path": "full"}], "version": "0.4"}]
    facts = {"multiscales": multiscales} if version == 2 else {"ome": {"multiscales": multiscales}}
    group = zarr.create_group(path, attributes=facts, zarr_format=version)
    group.create_array("full", data=planes[None, :, None], chunks=(1, 1, 1, *sides))
    return path


def halved(image: Image, *, linear: bool, colours: int) -> Image:
    """The mean of 2×2 pixels in linear light, by the plain formula."""
    white = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    values = image.astype(np.float64) / white
    values = values if values.ndim == 3 else values[..., None]
    light = values.copy()
    if not linear:
        light[..., :colours] = srgb_decode(values[..., :colours])
    pads = ((0, light.shape[0] % 2), (0, light.shape[1] % 2), (0, 0))
    light = np.pad(light, pads, mode="edge")
    mean = (light[::2, ::2] + light[1::2, ::2] + light[::2, 1::2] + light[1::2, 1::2]) / 4
    if not linear:
        mean[..., :colours] = srgb_encode(mean[..., :colours])
    return (mean * white).reshape(*mean.shape[:2], *image.shape[2:])


@settings(max_examples=25)
@given(
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
    st.tuples(st.integers(7, 300), st.integers(7, 300)),
    st.sampled_from([None, 1, 2, 3, 4]),
    st.sampled_from(DTYPES),
    st.sampled_from(["yxc", "cyx", "ome"]),
    st.sampled_from([2, 3]),
    st.sampled_from(["srgb", "linear"]),
    st.booleans(),
    st.integers(1, 8),
    st.floats(0, 1),
    st.sampled_from(["numba", "torch"]),
    seeds,
)
def test_guided_detail_is_numpys(
    size: tuple[int, int],
    chunks: tuple[int, int],
    channels: int | None,
    dtype: str,
    layout: str,
    version: int,
    transfer: str,
    wrap: bool,
    orientation: int,
    strength: float,
    backend: str,
    seed: int,
) -> None:
    """The first level is numpy's result bit for bit, for arrays and groups of any chunks."""
    image = picture(*size, channels, dtype, seed)
    how: dict[str, Any] = {"transfer": transfer, "orientation": orientation}
    how |= {"wrap": wrap and orientation < 5, "strength": strength}
    how |= {"device": "cpu", "backend": backend}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = stored(folder / "in.zarr", image, chunks, layout, version)
        report = correct_store(source, folder / "out.zarr", block=128, **how)
        assert np.array_equal(level(folder / "out.zarr"), drht_plugin.correct(image, **how))
        assert (report.height, report.width, report.dtype) == (*size, dtype)
        assert sorted(os.listdir(folder)) == ["in.zarr", "out.zarr"]


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_network_detail_is_numpys(
    wrap: bool, orientation: int, tmp_path: Path, corrector: Corrector
) -> None:
    """Network detail is numpy's within a code, at the seams of blocks too."""
    image = picture(500, 640, 3, "uint8", 3)
    how: dict[str, Any] = {"orientation": orientation, "wrap": wrap and orientation < 5}
    expected = corrector.correct(image, detail="network", tile=256, **how)
    source = stored(tmp_path / "in.zarr", image, (100, 120))
    how |= {"detail": "network", "tile": 256, "block": 256, "device": "cpu"}
    report = correct_store(source, tmp_path / "out.zarr", **how)
    assert report.detail == "network"
    assert report.blocks > 4
    made = level(tmp_path / "out.zarr")
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [None, 3, 4])
@pytest.mark.parametrize("transfer", ["srgb", "linear"])
def test_levels(dtype: str, channels: int | None, transfer: str, tmp_path: Path) -> None:
    """Each level is the one before it, averaged in linear light and rounded; alpha is averaged."""
    image = picture(1300, 1111, channels, dtype)
    stored(tmp_path / "in.zarr", image, (256, 200))
    how: dict[str, Any] = {"transfer": transfer, "device": "cpu"}
    report = correct_store(tmp_path / "in.zarr", tmp_path / "out.zarr", block=512, **how)
    assert report.levels == 3
    most = 0.55 if image.dtype.kind == "u" else 2e-3
    for number in range(1, report.levels):
        before, made = (level(tmp_path / "out.zarr", n) for n in (number - 1, number))
        colours = 1 if channels is None else 3
        expected = halved(before, linear=transfer == "linear", colours=colours)
        assert made.shape == expected.shape
        assert np.abs(made - expected).max() <= most


def test_flat_pictures_keep_their_codes(tmp_path: Path) -> None:
    """Averaging codes that are alike gives them back, all of 8 and 16 bits."""
    from drht_plugin.bridge.halving import halve

    for dtype in ("uint8", "uint16"):
        codes = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
        planes = codes[None, None].repeat(2, 1).repeat(2, 2)
        for linear in (False, True):
            assert np.array_equal(halve(planes, linear=linear)[0, 0], codes)


def test_other_software_reads_it(tmp_path: Path) -> None:
    """A reader of OME-Zarr that holds files to the specification takes ours."""
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models is not installed")
    for name, channels in (("gray", None), ("one", 1), ("rgb", 3), ("rgba", 4)):
        source = stored(
            tmp_path / f"{name}-in.zarr", picture(1300, 700, channels, "uint8"), (300, 300)
        )
        correct_store(source, tmp_path / f"{name}.zarr", device="cpu", block=512)
        opened = models.open_ome_zarr(zarr.open_group(tmp_path / f"{name}.zarr", mode="r"))
        assert opened.ome_attributes.version == "0.5"
        (scales,) = opened.ome_attributes.multiscales
        assert [axis.name for axis in scales.axes] == [*(["c"] if channels else []), "y", "x"]
        assert [each.path for each in scales.datasets] == ["0", "1", "2"]
        shapes = [opened.members[each.path].shape for each in scales.datasets]
        assert [s[-2:] for s in shapes] == [(1300, 700), (650, 350), (325, 175)]


def test_black_takes_no_room(tmp_path: Path) -> None:
    """Shards of nothing but 0 are not stored, nor flushed, and read as 0."""
    image = picture(512, 512, 3, "uint8")
    image[:256, :256] = 0
    source, goal = stored(tmp_path / "in.zarr", image, (256, 256)), tmp_path / "out.zarr"
    correct_store(source, goal, device="cpu", block=256, resume=True, strength=0)
    shards = sorted(str(p.relative_to(goal / "0" / "c")) for p in (goal / "0" / "c").glob("*/*/*"))
    assert shards == ["0/0/1", "0/1/0", "0/1/1"]
    assert np.array_equal(level(goal), image)


class Reads:
    """Counts what is read of a Zarr array in a folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.count: Counter[str] = Counter()
        plain, lock = zarr.storage.LocalStore.get, threading.Lock()

        async def get(store: Any, key: str, *given: Any, **named: Any) -> Any:
            if store.root == folder and key.startswith("c/"):
                with lock:
                    self.count[key] += 1
            return await plain(store, key, *given, **named)

        monkeypatch.setattr(zarr.storage.LocalStore, "get", get)


@pytest.mark.parametrize("wrap", [False, True])
def test_chunks_are_read_once(wrap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The survey reads the chunks that hold its rows once, and rendering reads each chunk once.

    A panorama's origin takes one more reading.
    """
    image = picture(8000, 12, 3, "uint8")
    source = stored(tmp_path / "in.zarr", image, (2, 12))
    seen: list[Counter[str]] = []
    reads = Reads(monkeypatch, source)
    create = tasks.finish

    def finish(*given: Any) -> Any:
        seen.append(reads.count.copy())
        reads.count.clear()
        return create(*given)

    monkeypatch.setattr(tasks, "finish", finish)
    correct_store(source, tmp_path / "out.zarr", wrap=wrap, device="cpu", block=128)
    whole = 4000
    (surveyed,) = seen
    assert 0.6 * whole < sum(surveyed.values()) / (1 + 0.097 * wrap) < 0.7 * whole
    assert wrap or set(surveyed.values()) == {1}
    assert len(reads.count) == whole
    assert set(reads.count.values()) == {1}


def test_chunks_of_wide_pictures_are_surveyed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A survey that takes few rows at a time still decodes a chunk once, which holds many."""
    monkeypatch.setattr(sampling, "_BAND_PIXELS", 40)
    source = stored(tmp_path / "in.zarr", picture(600, 20, 3, "uint8"), (64, 20))
    reads = Reads(monkeypatch, source)
    plain, surveyed = tasks.finish, Counter[str]()

    def finish(*given: Any) -> Any:
        surveyed.update(reads.count)
        return plain(*given)

    monkeypatch.setattr(tasks, "finish", finish)
    correct_store(source, tmp_path / "out.zarr", device="cpu", block=128)
    assert set(surveyed.values()) == {1}


def test_network_detail_reads_its_halo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In network detail a block reads its own chunks once, and those that its halo touches."""
    source = stored(tmp_path / "in.zarr", picture(512, 512, 3, "uint8"), (64, 64))
    reads = Reads(monkeypatch, source)
    plain = tasks.finish

    def finish(*given: Any) -> Any:
        reads.count.clear()
        return plain(*given)

    monkeypatch.setattr(tasks, "finish", finish)
    correct_store(source, tmp_path / "a.zarr", device="cpu", block=256, detail="network", tile=256)
    assert len(reads.count) == 64
    assert sum(reads.count.values()) == 4 * 25  # four chunks and one beyond, in both directions


@settings(max_examples=200)
@given(st.integers(1, 9000), st.integers(1, 100_000), st.sampled_from([128, 512, 2048]))
def test_sides(chunk: int, image: int, target: int) -> None:
    """Regions are whole chunks, shards are whole parts of regions, and chunks of shards."""
    side = choose_side(chunk, image, target)
    assert side.region % side.shard == 0
    assert chunk >= image or side.region % chunk == 0
    assert side.shard <= max(target, chunk)
    assert side.shard % chunk_side(side.shard) == 0
    if chunk & (chunk - 1) == 0 and chunk <= target:
        assert side.shard == min(target, 1 << (image - 1).bit_length()) or image > chunk


@settings(max_examples=50)
@given(
    st.tuples(st.integers(1, 30_000), st.integers(1, 30_000)),
    st.tuples(st.integers(64, 3000), st.integers(64, 3000)),
)
def test_layouts(size: tuple[int, int], chunks: tuple[int, int]) -> None:
    """Regions hold every pixel once; levels halve, down to one that a viewer loads at once."""
    layout = plan_layout(*size, chunks, 3)
    assert sum(r.height * r.width for r in layout.regions()) == size[0] * size[1]
    for before, after in zip(layout.levels, layout.levels[1:], strict=False):
        assert (after.height, after.width) == (-(-before.height // 2), -(-before.width // 2))
    assert max(layout.levels[-1].height, layout.levels[-1].width) <= 512


def test_usual_layouts() -> None:
    """Blocks are as large as they are asked for, and rows of a TIFF file fit the memory."""
    for side in (2048, 8192):
        layout = plan_layout(100_000, 200_000, (1024, 1024), 3, side)
        assert layout.region == layout.levels[0].shard == (side, side)
        assert layout.levels[1].shard == (side // 2, side // 2)
        assert layout.levels[0].chunk == (512, 512)
    rows = plan_layout(100_000, 200_000, (128, 200_000), 3)
    assert rows.region[1] >= 200_000
    assert rows.region[0] * rows.region[1] * 3 < 128 << 20
    assert rows.levels[0].shard == (128, 2048)


def tiff(path: Path, image: Image, tile: tuple[int, int] | None, **options: Any) -> Path:
    photometric = "rgb" if image.shape[2] >= 3 else "minisblack"
    extra: dict[str, Any] = {"extrasamples": ["unassalpha"]} if image.shape[2] in (2, 4) else {}
    tifffile.imwrite(path, image, tile=tile, photometric=photometric, **extra, **options)
    return path


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint16"), (3, "uint8"), (4, "float32")])
def test_tiff(
    bigtiff: bool, compression: str | None, channels: int, dtype: str, tmp_path: Path
) -> None:
    """Tiled TIFF and BigTIFF give the pixels of `correct`, with their profile and orientation."""
    import io_samples

    image = picture(700, 500, channels, dtype)
    options: dict[str, Any] = {"bigtiff": bigtiff, "compression": compression}
    profile = None
    if channels == 3:
        profile = io_samples.profile()
        options["iccprofile"] = profile
    options["extratags"] = [(274, "H", 1, 3, True)]
    tiff(tmp_path / "in.tif", image, (128, 256), **options)
    correct_store(tmp_path / "in.tif", tmp_path / "out.zarr", device="cpu", block=256)
    expected = drht_plugin.correct(image, profile=profile, orientation=3, device="cpu")
    assert np.array_equal(level(tmp_path / "out.zarr"), expected)
    # What was kept of the file counts for the result, too.
    correct_store(tmp_path / "out.zarr", tmp_path / "again.zarr", device="cpu", block=256)
    again = drht_plugin.correct(expected, profile=profile, orientation=3, device="cpu")
    assert np.array_equal(level(tmp_path / "again.zarr"), again)


def test_tiff_is_not_decoded_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a TIFF file, a block's rows are read at once, and each of them once after the survey."""
    image = picture(8000, 60, 3, "uint8")
    tiff(tmp_path / "in.tif", image, (128, 128))
    asked: list[range] = []
    plain = io.PictureFile.__getitem__

    def get(file: Any, rows: slice) -> Any:
        asked.append(range(*rows.indices(file.shape[0])))
        return plain(file, rows)

    monkeypatch.setattr(io.PictureFile, "__getitem__", get)
    correct_store(tmp_path / "in.tif", tmp_path / "out.zarr", device="cpu", block=256)
    rendered = [rows for rows in asked if rows.step == 1]
    assert max(len(rows) for rows in asked) <= 256
    assert sorted(row for rows in rendered for row in rows) == list(range(8000))


def test_what_is_refused(tmp_path: Path) -> None:
    """What is no picture is refused by name, before any work, and nothing is left."""
    image = picture(60, 50, 3, "uint8")
    source, goal = stored(tmp_path / "in.zarr", image, (32, 32)), tmp_path / "out.zarr"

    def refused(kind: type[Exception], words: str, given: Any = source, **how: Any) -> None:
        with pytest.raises(kind, match=words):
            correct_store(given, goal, **{"device": "cpu", **how})
        assert sorted(p.name for p in tmp_path.iterdir() if "out" in p.name) == []

    refused(ReadError, "nowhere.zarr: does not exist", tmp_path / "nowhere.zarr")
    (tmp_path / "empty").mkdir()
    refused(ReadError, "empty: .*no Zarr array", tmp_path / "empty")
    zarr.create_group(tmp_path / "group.zarr")
    refused(ReadError, "without `multiscales`", tmp_path / "group.zarr")
    deep = np.zeros((3, 5, 40, 40), np.uint8)
    zarr.create_array(tmp_path / "deep.zarr", data=deep)
    refused(ReadError, "4 axes|axis|axes", tmp_path / "deep.zarr")
    zarr.create_array(tmp_path / "int.zarr", data=np.zeros((40, 40), np.int32))
    refused(InputError, "int32", tmp_path / "int.zarr")
    refused(InputError, "block is 100", block=100)
    refused(InputError, "strength", strength=7)
    for name in ("wrap", "pyramid", "resume", "overwrite"):
        refused(InputError, f"{name} is 'no'; expected True or False", **{name: "no"})
    refused(InputError, "tile is 64.0; expected a whole number", tile=64.0)
    refused(InputError, "device 'abacus' is unknown", device="abacus")
    refused(InputError, "detail is 'fine'", detail="fine")
    refused(InputError, "orientation", wrap=True, orientation=6)
    refused(InputError, "noname", "noname://a/b.zarr")
    with pytest.raises(WriteError, match="is the picture itself"):
        correct_store(source, source / "x", device="cpu")
    with pytest.raises(WriteError, match="no folder"):
        correct_store(source, tmp_path / "no" / "out.zarr", device="cpu")


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    """A failed run leaves what was there; one that ends well replaces it, if it is told to."""
    image = picture(300, 280, 3, "float32")
    source, goal = stored(tmp_path / "in.zarr", image, (64, 64)), tmp_path / "out.zarr"
    correct_store(source, goal, device="cpu", block=128)
    before = level(goal)
    with pytest.raises(WriteError, match=r"out\.zarr: already exists"):
        correct_store(source, goal, device="cpu", strength=0.5)
    wrong = image.copy()
    wrong[200, 150] = np.nan
    stored(tmp_path / "wrong.zarr", wrong, (64, 64))
    with pytest.raises(InputError, match="row 200"):
        correct_store(tmp_path / "wrong.zarr", goal, device="cpu", block=128, overwrite=True)
    assert np.array_equal(level(goal), before)
    correct_store(source, goal, device="cpu", block=128, overwrite=True, strength=0.5)
    assert not np.array_equal(level(goal), before)
    assert sorted(os.listdir(tmp_path)) == ["in.zarr", "out.zarr", "wrong.zarr"]


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without zarr, the error says which extra brings it."""
    source = stored(tmp_path / "in.zarr", picture(60, 50, 3, "uint8"), (32, 32))
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(DependencyError, match=r"pip install 'drht-plugin\[dask\]'"):
        correct_store(source, tmp_path / "out.zarr", device="cpu")
    assert os.listdir(tmp_path) == ["in.zarr"]


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    """A folder of anything else than Zarr is left as it is, local or not, whatever is asked for."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    source = stored(tmp_path / "in.zarr", picture(60, 50, 3, "uint8"), (32, 32))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    with pytest.raises(WriteError, match="is not in Zarr, and so is not replaced"):
        correct_store(source, tmp_path / "mine", device="cpu", overwrite=True)
    assert (tmp_path / "mine" / "a.txt").read_text() == "mine"
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/mine/a.txt", b"mine")
    try:
        with pytest.raises(WriteError, match="already exists; remove it first"):
            correct_store(source, "memory://mine", device="cpu", overwrite=True)
        assert memory.cat_file("/mine/a.txt") == b"mine"
    finally:
        memory.rm("/mine", recursive=True)
    (tmp_path / "link.zarr").symlink_to(source)
    with pytest.raises(WriteError, match="is the picture itself"):
        correct_store(source, tmp_path / "link.zarr", device="cpu", overwrite=True)


def test_damaged_chunks_are_named(tmp_path: Path) -> None:
    """A chunk that cannot be decoded is an error that names the picture, not pixels."""
    source = stored(tmp_path / "in.zarr", picture(300, 280, 3, "uint8"), (64, 64))
    (source / "c" / "2" / "1" / "0").write_bytes(b"damaged")
    with pytest.raises(ReadError, match=r"in\.zarr: cannot be read"):
        correct_store(source, tmp_path / "out.zarr", device="cpu", block=128)
    assert os.listdir(tmp_path) == ["in.zarr"]


def test_a_picture_that_changes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is written to during the work is noticed, and no result appears."""
    source = stored(tmp_path / "in.zarr", picture(300, 280, 3, "uint8"), (64, 64))
    plain = tasks.finish

    def finish(*given: Any) -> Any:
        zarr.open_array(source)[:64, :64] = 7
        return plain(*given)

    monkeypatch.setattr(tasks, "finish", finish)
    with pytest.raises(ReadError, match="was changed while it was read"):
        correct_store(source, tmp_path / "out.zarr", device="cpu", block=128)
    assert os.listdir(tmp_path) == ["in.zarr"]


def failing(monkeypatch: pytest.MonkeyPatch, after: int) -> list[str]:
    """Let the work fail after some parts; return the names of those that were made since."""
    plain, made = tasks.make, list[str]()

    def make(job: Any, part: Any) -> str:
        if len(made) >= after:
            raise WriteError("the disk is full")
        made.append(part.name)
        return plain(job, part)

    monkeypatch.setattr(tasks, "make", make)
    return made


def test_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished blocks of a run that failed are not done again, and the result is the same."""
    image = picture(600, 500, 3, "uint8")
    source, goal = stored(tmp_path / "in.zarr", image, (64, 64)), tmp_path / "out.zarr"
    how: dict[str, Any] = {"device": "cpu", "block": 128, "resume": True}
    with monkeypatch.context() as patch:
        failing(patch, 7)
        with pytest.raises(WriteError, match="disk is full") as raised:
            correct_store(source, goal, **how)
    assert any("repeat the same call" in note for note in raised.value.__notes__)
    assert sorted(os.listdir(tmp_path)) == [".out.zarr.drht-resume", "in.zarr"]
    with pytest.raises(WriteError, match=r"holds blocks of another job .another settings"):
        correct_store(source, goal, **how, strength=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "survey_strip", lambda *_: pytest.fail("it was surveyed again"))
        made = failing(patch, 1000)
        report = correct_store(source, goal, **how)
    assert report.kept == 7
    assert len(made) == len(set(made)) == report.blocks - 7 + _deeper(report)
    assert np.array_equal(level(goal), drht_plugin.correct(image, device="cpu"))
    assert sorted(os.listdir(tmp_path)) == ["in.zarr", "out.zarr"]


def _deeper(report: Any) -> int:
    layout = plan_layout(report.height, report.width, (64, 64), 3, 128)
    return sum(1 for each in layout.levels[layout.nested + 1 :] for _ in each.shards())


HELD = """
import re, sys
from drht_plugin.bridge.sharing import limit_threads
from drht_plugin.dask import correct_store
with limit_threads(2):
    report = correct_store(sys.argv[1], sys.argv[2], device="cpu", strength=0)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(report.blocks, int(peak[1]) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
def test_memory(tmp_path: Path) -> None:
    """A picture of 6 GB goes through a process that never holds one: here 1 GB, libraries and all.

    Its chunks are black, so that none is stored.
    """
    shape = (40_960, 49_152, 3)
    zarr.create_array(tmp_path / "in.zarr", shape=shape, chunks=(1024, 1024, 3), dtype="u1")
    command = [sys.executable, "-c", HELD, str(tmp_path / "in.zarr"), str(tmp_path / "out.zarr")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    blocks, most = map(int, done.stdout.split())
    assert blocks == 480
    assert most < 1 << 30


KILLED = """
import sys
from drht_plugin.dask import correct_store
from drht_plugin.dask.giants import tasks
import time
plain = tasks.make
def make(job, part):
    time.sleep(0.05)
    name = plain(job, part)
    print(name, flush=True)
    return name
tasks.make = make
correct_store(sys.argv[1], sys.argv[2], device="cpu", block=128, resume=True)
"""


def test_chunks_are_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zarr does not compare chunks with 0 before it writes them, which takes as long as that."""

    def compared(*given: Any) -> bool:
        raise AssertionError("a chunk was compared")

    source = stored(tmp_path / "in.zarr", picture(300, 280, 3, "uint8"), (64, 64))
    monkeypatch.setattr(zarr.core.buffer.NDBuffer, "all_equal", compared)
    correct_store(source, tmp_path / "out.zarr", device="cpu", block=128)


def test_resume_after_a_kill(tmp_path: Path) -> None:
    """A process that is killed leaves blocks that the next run goes on from, with the same bits."""
    image = picture(900, 800, 3, "uint8")
    source, goal = stored(tmp_path / "in.zarr", image, (128, 128)), tmp_path / "out.zarr"
    command = [sys.executable, "-c", KILLED, str(source), str(goal)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(5):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    report = correct_store(source, goal, device="cpu", block=128, resume=True)
    assert 5 <= report.kept < report.blocks
    assert np.array_equal(level(goal), drht_plugin.correct(image, device="cpu"))
    assert sorted(os.listdir(tmp_path)) == ["in.zarr", "out.zarr"]


def test_what_a_killed_writer_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that zarr had begun when its process was killed is no part of the result."""
    import zarr.storage._local as local

    source = stored(tmp_path / "in.zarr", picture(300, 200, 3, "uint8"), (64, 64))
    left: list[Path] = []
    with monkeypatch.context() as patch:  # as a kill ends it: before it has its name
        patch.setattr(Path, "replace", lambda path, _: left.append(path))
        with local._atomic_write(tmp_path / "0", "wb") as file:
            file.write(b"half")
    [begun] = left
    plain, beside = tasks.make, []

    def make(job: Any, part: Any) -> str:
        for shard in job.place.image.child("0").path.glob("c/*/*/*"):
            beside.append(shard.with_name(shard.name + begun.name.removeprefix("0")))
            beside[-1].write_bytes(begun.read_bytes())
        return plain(job, part)

    monkeypatch.setattr(tasks, "make", make)
    correct_store(source, tmp_path / "out.zarr", device="cpu", block=128)
    assert beside
    assert [path for path in tmp_path.rglob("*") if path.suffix == ".partial"] == [begun]


def test_two_runs_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run for a target that is being made is refused, and disturbs nothing."""
    image = picture(300, 200, 3, "uint8")
    source, goal = stored(tmp_path / "in.zarr", image, (64, 64)), tmp_path / "out.zarr"
    refused: list[str] = []
    plain = tasks.finish

    def finish(*given: Any) -> Any:
        with pytest.raises(WriteError, match="another process is working on it") as raised:
            correct_store(source, goal, device="cpu")
        refused.append(str(raised.value))
        return plain(*given)

    monkeypatch.setattr(tasks, "finish", finish)
    correct_store(source, goal, device="cpu")
    assert refused
    assert np.array_equal(level(goal), drht_plugin.correct(image, device="cpu"))


def test_fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses of fsspec are read and written; a result is whole or not there; runs resume."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    image = picture(400, 300, 3, "uint8")
    expected = drht_plugin.correct(image, device="cpu")
    stored(tmp_path / "in.zarr", image, (64, 64))
    correct_store(f"file://{tmp_path}/in.zarr", f"file://{tmp_path}/out.zarr", device="cpu")
    assert np.array_equal(level(tmp_path / "out.zarr"), expected)
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "in.zarr"), "/drht/in.zarr", recursive=True)
    try:
        _resumes("memory://drht", image, expected, monkeypatch)
    finally:
        memory.rm("/drht", recursive=True)


def _resumes(folder: str, image: Image, expected: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """Correct in.zarr of a folder; fail, resume, and compare with what is expected."""
    source, goal = f"{folder}/in.zarr", f"{folder}/out.zarr"
    how: dict[str, Any] = {"device": "cpu", "block": 128}
    with monkeypatch.context() as patch:
        failing(patch, 3)
        for resume in (False, True):
            with pytest.raises(WriteError, match="disk is full"):
                correct_store(source, goal, resume=resume, **how)
            patch.undo()
            failing(patch, 3)
    with pytest.raises(ReadError, match=r"cannot be read|is no Zarr"):
        correct_store(goal, f"{folder}/other.zarr", **how)
    report = correct_store(source, goal, resume=True, **how)
    assert report.kept == 3
    store = zarr.storage.FsspecStore.from_url(f"{goal}/0")
    made = np.asarray(zarr.open_array(store, mode="r")[...])
    assert np.array_equal(np.moveaxis(made, 0, -1), expected)
    with pytest.raises(WriteError, match="already exists"):
        correct_store(source, goal, **how)
    with pytest.raises(WriteError, match="already exists"):
        correct_store(source, goal, overwrite=True, **how)


def test_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An S3 server holds a picture and its result, which is whole or not there, and resumes."""
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        image = picture(400, 300, 3, "uint8")
        files = s3fs.S3FileSystem()
        files.mkdir("drht")
        files.put(
            str(stored(tmp_path / "in.zarr", image, (64, 64))), "drht/in.zarr", recursive=True
        )
        _resumes("s3://drht", image, drht_plugin.correct(image, device="cpu"), monkeypatch)
        left = files.find("drht/out.zarr")
        assert any(name.endswith("out.zarr/zarr.json") for name in left)
        assert not any(".drht-resume" in name for name in left)
    finally:
        running.stop()
