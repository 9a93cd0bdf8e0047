"""Picture files by rows: the same pixels as whole, whatever rows are asked for or given."""

import itertools
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from io_samples import SAMPLES, Sample

from drht_plugin import io
from drht_plugin.errors import InputError, ReadError, WriteError

by_name = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
here = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@by_name
def test_any_rows(sample: Sample, tmp_path: Path) -> None:
    """Rows in bands, with steps, backwards, from other threads and none are those of the whole."""
    source, _ = sample.create(tmp_path)
    whole = io.read_picture(source).pixels
    with io.open_picture(source) as file:
        assert (file.shape, file.dtype) == (whole.shape, whole.dtype)
        parts = [file[top : top + 7] for top in range(0, made.HEIGHT, 7)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        spans = [slice(3, 30, 5), slice(2, 31, 2), slice(0, 1), slice(20, 32), slice(9, 9)]
        for rows in [*spans, slice(1, None, 31)]:
            np.testing.assert_array_equal(file[rows], whole[rows])
        found: list[Any] = []
        for rows in (slice(0, 10), slice(10, 32)):
            thread = threading.Thread(target=lambda part=rows: found.append(file[part]))
            thread.start()
            thread.join()
        np.testing.assert_array_equal(np.concatenate(found), whole)


@by_name
@pytest.mark.parametrize("rows", [1, 5, 27])
def test_any_bands(sample: Sample, rows: int, tmp_path: Path) -> None:
    """A file that is given in bands is the one that is given whole, metadata included."""
    source, _ = sample.create(tmp_path)
    picture = io.read_picture(source)
    whole, parts = tmp_path / f"whole{sample.suffix}", tmp_path / f"parts{sample.suffix}"
    io.write_picture(whole, picture.pixels, picture)
    with io.create_picture(parts, picture) as sink:
        for top in range(0, made.HEIGHT, rows):
            sink[top : min(top + rows, made.HEIGHT)] = picture.pixels[top : top + rows]
    first, second = io.read_picture(whole), io.read_picture(parts)
    np.testing.assert_array_equal(second.pixels, first.pixels)
    assert second.carrier.metadata == first.carrier.metadata


@pytest.mark.parametrize("rows", [7, 331, 4000])
def test_plain_tiff_in_several_pieces(rows: int, tmp_path: Path) -> None:
    """A plain TIFF longer than what is written at once holds every pixel, however it is given."""
    pixels = made.values(3, "uint8", 4000, 1501)
    made.tiff(tmp_path / "a.tif", pixels[:2])
    picture = replace(io.read_picture(tmp_path / "a.tif"), pixels=pixels)
    with io.create_picture(tmp_path / "b.tif", picture) as sink:
        for top in range(0, 4000, rows):
            sink[top : min(top + rows, 4000)] = pixels[top : top + rows]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), pixels)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_uneven_bands(suffix: str, tmp_path: Path) -> None:
    """An encoder that asks for rows of its own accord is neither starved nor asked twice."""
    made.pillow(tmp_path / f"a{suffix}", made.values(3, "uint8", 700, 33))
    picture = io.read_picture(tmp_path / f"a{suffix}")
    borders = [0, 100, 101, 102, 300, 301, 556, 557, 600, 699, 700]
    with io.create_picture(tmp_path / f"b{suffix}", picture) as sink:
        for top, bottom in itertools.pairwise(borders):
            sink[top:bottom] = picture.pixels[top:bottom]
    io.write_picture(tmp_path / f"c{suffix}", picture.pixels, picture)
    assert (tmp_path / f"b{suffix}").read_bytes() == (tmp_path / f"c{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".exr", ".jxl"])
def test_rows_out_of_turn(suffix: str, tmp_path: Path) -> None:
    """Rows twice, left out, of another shape, or missing at the end are refused; nothing stays."""
    dtype = "float32" if suffix == ".exr" else "uint8"
    made.openimageio(tmp_path / f"a{suffix}", made.values(3, dtype))
    picture = io.read_picture(tmp_path / f"a{suffix}")
    pixels = picture.pixels

    def give(*parts: slice) -> None:
        with io.create_picture(tmp_path / f"b{suffix}", picture) as sink:
            for part in parts:
                sink[part] = pixels[: min(part.stop, 16) - part.start]

    first = slice(0, 8)
    for second in (first, slice(9, 12), slice(8, 20), slice(8, 16, 2)):
        with pytest.raises(InputError, match="rows of"):
            give(first, second)
    with pytest.raises(InputError, match="given 8 of 32 rows"):
        give(first)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


@by_name
def test_what_the_body_raises_comes_through(sample: Sample, tmp_path: Path) -> None:
    """An error of the caller's between rows is not taken for one of the file; nothing stays."""
    source, _ = sample.create(tmp_path)
    picture = io.read_picture(source)

    def fail(error: BaseException) -> None:
        with io.create_picture(tmp_path / f"b{sample.suffix}", picture) as sink:
            sink[0:8] = picture.pixels[0:8]
            raise error

    for error in (OSError("mine"), ValueError("mine"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            fail(error)
        assert caught.value is error
    assert list(tmp_path.iterdir()) == [source]


@by_name
def test_damage_is_found_by_rows(sample: Sample, tmp_path: Path) -> None:
    """A file whose second half is gone is refused when its rows are read, in the usual words."""
    source, _ = sample.create(tmp_path)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])

    def read_all() -> None:
        with io.open_picture(source) as file:
            for top in range(0, file.shape[0], 5):
                file[top : top + 5]

    with pytest.raises(ReadError, match=r"^source.*is damaged or ends early \("):
        read_all()


def test_file_that_shrinks_meanwhile(tmp_path: Path) -> None:
    """A file that is cut short after it was opened is an error, not a crash."""
    made.tiff(tmp_path / "a.tif", made.values(3, "uint8"))
    with io.open_picture(tmp_path / "a.tif") as file:
        file[0:4]
        with open(tmp_path / "a.tif", "r+b") as other:
            other.truncate(600)
        with pytest.raises(ReadError, match="was changed while it was read"):
            file[20:32]


PLAIN = st.fixed_dictionaries(
    {
        "channels": st.integers(1, 4),
        "dtype": st.sampled_from(["uint8", "uint16", "float16", "float32"]),
        "shape": st.tuples(st.integers(1, 70), st.integers(1, 70)),
        "big": st.booleans(),
        "order": st.sampled_from("<>"),
        "tile": st.sampled_from([None, (16, 16), (32, 16), (64, 48)]),
        "rows": st.integers(1, 80),
    }
)


@here
@given(kind=PLAIN, top=st.integers(0, 69), bottom=st.integers(0, 70), step=st.integers(1, 40))
def test_plain_tiff(kind: dict[str, Any], top: int, bottom: int, step: int, tmp_path: Path) -> None:
    """Uncompressed TIFF of any layout gives any of its rows, and is written in the same layout.

    Told by tifffile, which shares no code with us.
    """
    channels, tile = kind["channels"], kind["tile"]
    pixels = made.values(channels, kind["dtype"], *kind["shape"])
    options: dict[str, Any] = {"tile": tile} if tile else {"rowsperstrip": kind["rows"]}
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    path = tmp_path / "a.tif"
    made.tiff(
        path, pixels, iccprofile=None, bigtiff=kind["big"], byteorder=kind["order"], **options
    )
    picture = io.read_picture(path)
    assert picture.pixels.dtype == kind["dtype"]
    np.testing.assert_array_equal(picture.pixels, pixels)
    with io.open_picture(path) as file:
        np.testing.assert_array_equal(file[top:bottom:step], pixels[top:bottom:step])
    target = tmp_path / "b.tif"
    target.unlink(missing_ok=True)
    io.write_picture(target, pixels, picture)
    with tifffile.TiffFile(target) as written:
        page = written.pages.first
        np.testing.assert_array_equal(page.asarray().reshape(pixels.shape), pixels)
        assert (page.is_tiled, written.is_bigtiff) == (tile is not None, kind["big"])
        assert page.compression == 1
        if tile:
            assert (page.tilelength, page.tilewidth) == tile
    np.testing.assert_array_equal(made.stored(target).reshape(pixels.shape), pixels)


@here
@given(
    rows=st.integers(1, 40),
    tile=st.sampled_from([None, (16, 16), (32, 48)]),
    parts=st.lists(
        st.tuples(st.integers(0, 79), st.integers(1, 80), st.integers(1, 50)),
        min_size=1,
        max_size=6,
    ),
)
def test_blocks(rows: int, tile: Any, parts: list[tuple[int, int, int]], tmp_path: Path) -> None:
    """Compressed strips and tiles give any rows in any order, those of two requests too."""
    pixels = made.values(3, "uint16", 80, 21)
    options: dict[str, Any] = {"tile": tile} if tile else {"rowsperstrip": rows}
    made.tiff(tmp_path / "a.tif", pixels, compression="zlib", **options)
    with io.open_picture(tmp_path / "a.tif") as file:
        for top, count, step in parts:
            wanted = slice(top, min(top + count, 80), step)
            np.testing.assert_array_equal(file[wanted], pixels[wanted])
        for top in range(0, 80, 7):
            np.testing.assert_array_equal(file[top : top + 7], pixels[top : top + 7])


def test_tiff_that_declares_more_than_it_has(tmp_path: Path) -> None:
    """Absurd sizes in a header are refused by name before any pixel is read."""
    made.tiff(tmp_path / "a.tif", made.values(3, "uint8"))
    whole = (tmp_path / "a.tif").read_bytes()
    for tag, label in ((256, "columns"), (257, "rows")):
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            place = file.pages.first.tags[tag].valueoffset
        path = tmp_path / f"{label}.tif"
        path.write_bytes(whole[:place] + (10**9).to_bytes(4, "little") + whole[place + 4 :])
        with pytest.raises(ReadError, match="is damaged or ends early"):
            io.read_picture(path)


@pytest.mark.parametrize(("suffix", "side"), [(".jpg", 65500), (".webp", 16383), (".avif", 16384)])
def test_too_large_for_the_format(suffix: str, side: int, tmp_path: Path) -> None:
    """A picture with a longer side than a format holds is refused before it is read."""
    made.tiff(tmp_path / "a.tif", made.values(3, "uint8", 1, side + 1))
    with (
        io.open_picture(tmp_path / "a.tif") as source,
        pytest.raises(InputError, match=f"at most {side} pixels a side; the picture has 1×"),
        io.create_picture(tmp_path / f"b{suffix}", source),
    ):
        pytest.fail("begun")


def test_full_disk_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for an uncompressed TIFF is an error when it is begun, not hours later."""
    made.tiff(tmp_path / "a.tif", made.values(3, "uint8"))

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with (
        io.open_picture(tmp_path / "a.tif") as source,
        pytest.raises(WriteError, match=r"^b\.tif: cannot be written: No space left"),
        io.create_picture(tmp_path / "b.tif", source),
    ):
        pytest.fail("begun")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_data_window_stays_in_its_place(tmp_path: Path) -> None:
    """An OpenEXR picture that is a part of a larger frame is written at the same place of it."""
    import OpenImageIO as oiio

    spec = oiio.ImageSpec(20, 16, 3, "half")
    spec.x, spec.y, spec.full_width, spec.full_height = 4, 6, 40, 50
    pixels = np.random.default_rng(4).random((16, 20, 3)).astype(np.float16)
    source, target = tmp_path / "a.exr", tmp_path / "b.exr"
    output = oiio.ImageOutput.create(str(source))
    assert output is not None
    assert output.open(str(source), spec)
    assert output.write_image(pixels)
    output.close()
    picture = io.read_picture(source)
    io.write_picture(target, picture.pixels, picture)
    opened = oiio.ImageInput.open(str(target))
    assert opened is not None
    written = opened.spec()
    assert (written.x, written.y, written.full_width, written.full_height) == (4, 6, 40, 50)
    np.testing.assert_array_equal(io.read_picture(target).pixels, pixels)
