"""What an evaluation measures on: manifests of pairs, and drawn views."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import sets
from PIL import Image

from drht_plugin.errors import InputError, ReadError
from drht_plugin.evaluation.datasets import Item
from drht_plugin.evaluation.manifest import Pairs, group_columns
from drht_plugin.evaluation.views import Views

REAL_PAIRS = Path(__file__).parents[3] / "shared/data/pairs_dev/manifest.csv"


def only(manifest: Path) -> Item:
    (lazy,) = Pairs(manifest).items()
    return lazy.load()


def test_pair_holds_what_the_files_hold(tmp_path: Path) -> None:
    """Input and reference come as stored, radiance is hdr·exposure_scale, no HDR gives None."""
    first, second = (lazy.load() for lazy in Pairs(sets.make_pairs(tmp_path, 2)).items())
    np.testing.assert_array_equal(first.ldr, sets.codes(0))
    np.testing.assert_array_equal(first.reference, sets.brighter(sets.codes(0)))
    assert first.radiance is not None
    np.testing.assert_allclose(first.radiance, (sets.codes(0) / 255) ** 2.2, rtol=2e-3, atol=1e-6)
    assert second.radiance is None
    assert (first.groups, second.groups) == ({"kind": "even"}, {"kind": "odd"})


def test_16_bits_and_alpha(tmp_path: Path) -> None:
    """16 bits keep their precision, alpha is left out, gray becomes three equal channels."""
    deep = (sets.codes(1).astype(np.uint16) * 257) + 3
    alpha = np.dstack([sets.codes(1), np.tile(np.arange(56, dtype=np.uint8), (40, 1))])
    sets.save(tmp_path / "deep.png", deep)
    sets.save(tmp_path / "alpha.png", alpha)
    Image.fromarray(sets.codes(1)[..., 0]).save(tmp_path / "gray.png")
    rows = [{"input": f"{n}.png", "ref_ldr": "deep.png"} for n in ("deep", "alpha", "gray")]
    items = [x.load() for x in Pairs(sets.write_manifest(tmp_path / "manifest.csv", rows)).items()]
    np.testing.assert_array_equal(items[0].ldr, deep)
    np.testing.assert_allclose(items[0].picture, deep / 65535, atol=1e-7)
    np.testing.assert_array_equal(items[1].ldr, sets.codes(1))
    np.testing.assert_array_equal(items[2].ldr, sets.codes(1)[..., :1].repeat(3, 2))


def test_turned_photograph_is_compared_upright(tmp_path: Path) -> None:
    """An input that lies on its side by its EXIF orientation meets an upright reference."""
    upright = sets.codes(2)
    exif = Image.Exif()
    exif[0x0112] = 6  # a viewer turns it clockwise
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(upright)))
    lying.save(tmp_path / "in.jpg", quality=98, subsampling=0, exif=exif)
    sets.save(tmp_path / "ref.png", upright)
    rows = [{"input": "in.jpg", "ref_ldr": "ref.png"}]
    item = only(sets.write_manifest(tmp_path / "manifest.csv", rows))
    assert item.ldr.shape == item.reference.shape
    assert np.abs(item.ldr.astype(int) - item.reference).mean() < 2


GROUPED = {
    "kind": ["a", "b", "a"],
    "tag": ["x", "y", "z"],
    "light": ["sun", "lamp", "sun"],
}
NOT_GROUPED = {
    "one value": ["a", "a", "a"],
    "all different": ["a", "b", "c"],
    "number": ["1", "2.5", "1"],
    "some numbers": ["1", "", "2"],
    "path": ["a/b", "c", "a/b"],
    "licence": ["CC0", "BSD", "CC0"],
    "license_evidence": ["CC0", "BSD", "CC0"],
    "prose": ["a sentence that goes on for some time", "no", "no"],
    "ref_ldr": ["p", "q", "p"],
}


def test_group_columns() -> None:
    """Labels that several rows share group; numbers, paths, licences and prose do not."""
    columns = {**NOT_GROUPED, **GROUPED}
    rows = [{name: values[i] for name, values in columns.items()} for i in range(3)]
    assert group_columns(rows) == list(GROUPED)
    many = [{"light": f"l{i % 13}"} for i in range(26)]
    assert group_columns(many) == []
    assert group_columns([{"light": f"l{i % 12}"} for i in range(26)]) == ["light"]


MALFORMED = {
    "no such file": (None, "cannot be read"),
    "empty": ("", "no column input, ref_ldr"),
    "no column": ("input\na.png\n", "no column ref_ldr"),
    "no rows": ("input,ref_ldr\n", "has no rows"),
    "too few": ("input,ref_ldr,kind\na.png,b.png\n", "row 1 has more or fewer"),
    "too many": ("input,ref_ldr\na.png,b.png,c\n", "row 1 has more or fewer"),
    "no reference": ("input,ref_ldr\na.png,b.png\nc.png,\n", "row 2 has no ref_ldr"),
    "repeated": ("input,ref_ldr\na.png,b.png\na.png,c.png\n", "row 2 repeats the input of row 1"),
    "scale": ("input,ref_ldr,exposure_scale\na.png,b.png,big\n", "row 1 has exposure_scale 'big'"),
    "scale 0": ("input,ref_ldr,exposure_scale\na.png,b.png,0\n", "row 1 has exposure_scale '0'"),
    "NaN scale": ("input,ref_ldr,exposure_scale\na.png,b.png,nan\n", "exposure_scale 'nan'"),
    "open quote": ('input,ref_ldr\n"a.png,b.png\n', "cannot be read"),
    "no text": ("input,ref_ldr\n\udcff,b\n", "cannot be read"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_manifest(case: str, tmp_path: Path) -> None:
    """A manifest that is wrong as such is refused as a whole, with the row and the reason."""
    text, why = MALFORMED[case]
    manifest = tmp_path / "manifest.csv"
    if text is not None:
        manifest.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=re.escape(why)):
        Pairs(manifest).items()


def test_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    """A manifest saved by a spreadsheet is read."""
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("input,ref_ldr\na.png,b.png\n", encoding="utf-8-sig")
    assert [lazy.name for lazy in Pairs(manifest).items()] == ["a.png"]


BAD_FILES = {
    "missing": ("none.png", "ref.png", "none.png: cannot be read: No such file"),
    "unreadable": ("text.png", "ref.png", "text.png: is not a PNG picture"),
    "no display picture": ("hdr.exr", "ref.png", "hdr.exr: is an HDR image"),
    "size": ("in.png", "small.png", "small.png: is 9×7, the input 56×40"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_named(case: str, tmp_path: Path) -> None:
    """A file that cannot be used is an error of its item alone, with its name and the reason."""
    given, reference, why = BAD_FILES[case]
    sets.save(tmp_path / "in.png", sets.codes(1))
    sets.save(tmp_path / "ref.png", sets.codes(1))
    sets.save(tmp_path / "small.png", sets.codes(1, 7, 9))
    sets.make_hdr_folder(tmp_path, ["hdr"])
    (tmp_path / "text.png").write_text("this is no picture, whatever its name says")
    rows = [{"input": given, "ref_ldr": reference}]
    (lazy,) = Pairs(sets.write_manifest(tmp_path / "manifest.csv", rows)).items()
    with pytest.raises(ReadError, match=re.escape(why)):
        lazy.load()


def test_hdr_of_another_size_is_named(tmp_path: Path) -> None:
    """The true radiance must be of the input's size."""
    sets.save(tmp_path / "in.png", sets.codes(1))
    sets.make_hdr_folder(tmp_path, ["hdr"])
    rows = [{"input": "in.png", "ref_ldr": "in.png", "hdr": "hdr.exr", "exposure_scale": 1}]
    (lazy,) = Pairs(sets.write_manifest(tmp_path / "manifest.csv", rows)).items()
    with pytest.raises(ReadError, match=re.escape("hdr.exr: is 72×48, the input 56×40")):
        lazy.load()


def test_views_by_seed(tmp_path: Path) -> None:
    """One seed draws the same views each time, another one others; classes come in turn."""
    folder = sets.make_hdr_folder(tmp_path / "hdr")
    first, again, other = (
        [lazy.load() for lazy in Views(folder, seed, 3).items()] for seed in (5, 5, 6)
    )
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one.ldr, two.ldr)
        np.testing.assert_array_equal(one.reference, two.reference)
        assert one.ldr.shape != three.ldr.shape or (one.ldr != three.ldr).any()
    assert [item.groups["class"] for item in first] == ["under", "normal", "over"]
    assert [item.name for item in first] == ["000_one_under", "001_two_normal", "002_one_over"]
    means = [item.ldr.mean() for item in first]
    assert means[0] < means[1] < means[2]
    assert all(item.radiance is not None and item.known is not None for item in first)


def test_broken_hdr_image_costs_its_views_alone(tmp_path: Path) -> None:
    """An HDR image that cannot be read is an item that fails by its name; the rest is drawn."""
    folder = sets.make_hdr_folder(tmp_path / "hdr")
    (folder / "broken.exr").write_bytes(b"no image")
    broken, *views = Views(folder, 5, 2).items()
    with pytest.raises(ReadError, match=r"broken\.exr: cannot be read"):
        broken.load()
    expected = Views(sets.make_hdr_folder(tmp_path / "whole"), 5, 2).items()
    for view, other in zip(views, expected, strict=True):
        np.testing.assert_array_equal(view.load().ldr, other.load().ldr)


def test_no_hdr_images(tmp_path: Path) -> None:
    """A folder that is missing, empty or all broken, and a count of 0, are refused."""
    with pytest.raises(InputError, match="no such folder"):
        Views(tmp_path / "none", 1, 1).items()
    with pytest.raises(InputError, match="no HDR images"):
        Views(tmp_path, 1, 1).items()
    with pytest.raises(InputError, match="count is 0"):
        Views(sets.make_hdr_folder(tmp_path / "hdr"), 1, 0).items()
    (tmp_path / "broken.exr").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"broken\.exr: cannot be read"):
        Views(tmp_path, 1, 1).items()


@pytest.mark.skipif(not REAL_PAIRS.is_file(), reason="shared/data/pairs_dev is absent")
def test_real_pairs() -> None:
    """The project's pairs are understood: groups, and a scale that meets the input's exposure."""
    source = Pairs(REAL_PAIRS)
    lazies = source.items()
    with REAL_PAIRS.open() as lines:
        assert [lazy.name for lazy in lazies] == [row["input"] for row in csv.DictReader(lines)]
    item = next(x for x in lazies if x.name == "hdrps_507/input_over.jpg").load()
    assert item.groups == {"kind": "hdrps", "tag": "over", "ref_type": "mertens_fusion_of_stack"}
    assert item.radiance is not None
    clipped = (item.ldr >= 254).all(-1)
    dark = (item.ldr <= 60).all(-1)
    assert np.median(item.radiance[clipped]) > 0.8
    assert np.median(item.radiance[dark]) < 0.2
