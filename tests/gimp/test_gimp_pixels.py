"""The plug-in's pixels, in a real GIMP, against `drht_plugin.correct` on the same data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gimp_harness import Gimp
from strategies import picture

import drht_plugin

Image = npt.NDArray[Any]

HEIGHT, WIDTH = 60, 90
_DTYPES = {"U8": "uint8", "U16": "uint16", "HALF": "float16", "FLOAT": "float32"}

# Every pair of precision, encoding, colours, alpha and profile comes up; the profiles of gray
# images are gray ones.
_CASES = (
    ("U8_NON_LINEAR", 3, None),
    ("U8_LINEAR", 2, None),
    ("U8_PERCEPTUAL", 4, "new_rgb_adobe"),
    ("U16_NON_LINEAR", 4, "new_rgb_adobe"),
    ("U16_LINEAR", 3, None),
    ("U16_PERCEPTUAL", 1, "new_d50_gray_lab_trc"),
    ("HALF_NON_LINEAR", 2, None),
    ("HALF_LINEAR", 3, "new_rgb_adobe"),
    ("FLOAT_NON_LINEAR", 1, None),
    ("FLOAT_LINEAR", 4, "new_rgb_adobe"),
    ("FLOAT_PERCEPTUAL", 3, "new_rgb_adobe"),
)


def sample(path: Path, channels: int, dtype: str, seed: int = 0, span: float = 0.4) -> Image:
    """A dark picture, H×W×C, stored in a file as GIMP is to store it."""
    image = picture(HEIGHT, WIDTH, channels, dtype, seed, (0.0, span))
    image.tofile(path)
    return image


def read(path: Path, like: Image) -> Image:
    """Pixels that a script dumped."""
    return np.fromfile(path, like.dtype).reshape(like.shape)


def transfer(precision: str) -> str:
    """What a precision's values mean."""
    return "linear" if precision.endswith("_LINEAR") and "NON" not in precision else "srgb"


def require_equal(result: Image, expected: Image, *, codes: int = 0) -> None:
    """Within so many codes, or within 1e-5 in floats and a step of half floats."""
    if result.dtype.kind == "u":
        assert np.abs(result.astype(int) - expected).max() <= codes
    else:
        wide = result.astype(np.float64)
        step = 2**-10 if result.dtype == np.float16 else 0
        np.testing.assert_allclose(wide, expected.astype(np.float64), rtol=step, atol=1e-5)


def test_every_precision_equals_the_library(gimp: Gimp) -> None:
    """All precisions, encodings, channels and profiles come out as correct() has them.

    In place and as a new layer by turns; the worker gets the values as they are stored and the
    image's profile, and the layer below a new one keeps its own.
    """
    gimp.install()
    inputs, script = [], []
    for number, (precision, channels, profile) in enumerate(_CASES):
        source, result, below, icc = (
            gimp.folder / f"{number}.{end}" for end in ("in", "out", "below", "icc")
        )
        inputs.append(sample(source, channels, _DTYPES[precision.split("_")[0]], number))
        output = ("in-place", "new-layer")[number % 2]
        script.append(f"""
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT}, precision={precision!r},
    gray={channels < 3}, alpha={channels in (2, 4)}, profile={profile!r})
given = stored(layer) == open({str(source)!r}, "rb").read()
status, result = call(image, layer, output={output!r})
assert status == "success", result
dump(result, {str(result)!r})
dump(layer, {str(below)!r})
with open({str(icc)!r}, "wb") as file:
    file.write(bytes(image.get_effective_color_profile().get_icc_profile()))
seen.append([given, len(image.get_layers()), image.is_dirty()])
""")
    seen = gimp.run("seen = []\n" + "".join(script) + "report(OUT, seen=seen)")["seen"]
    assert seen == [[True, 1 + number % 2, True] for number in range(len(_CASES))]
    for number, ((precision, _, name), image) in enumerate(zip(_CASES, inputs, strict=True)):
        corrected = read(gimp.folder / f"{number}.out", image)
        icc_profile = (gimp.folder / f"{number}.icc").read_bytes()
        settings: dict[str, Any] = {"transfer": transfer(precision), "profile": icc_profile}
        # The C library of GIMP's root rounds powers otherwise.
        codes = 1 if image.dtype == np.uint16 else 0
        require_equal(corrected, drht_plugin.correct(image, **settings), codes=codes)
        plain = np.array_equal(drht_plugin.correct(image, transfer=transfer(precision)), corrected)
        assert not (plain and name is not None), "the profile did not count"
        assert not np.array_equal(corrected, image)
        if number % 2:
            np.testing.assert_array_equal(read(gimp.folder / f"{number}.below", image), image)


def test_settings_reach_the_library(gimp: Gimp) -> None:
    """Controls, preset, detail and wrap are those of the call; strength 0 gives all back."""
    gimp.install()
    source, result = gimp.folder / "in", gimp.folder / "out"
    image = sample(source, 3, "uint8", span=1.0)
    settings: dict[str, Any] = {"strength": 1.75, "shadows": 0.5, "highlights": 0.25, "wrap": True}
    settings.update(exposure=0.5, temperature=-30.0, tint=12.5)
    preset: dict[str, Any] = {"preset": "strong", "shadows": 0.5}
    facts = gimp.run(f"""
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT})
status, text = call(image, layer, output="in-place", detail="guided", **{settings})
assert status == "success", text
dump(layer, {str(result)!r})
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT})
before = stored(layer)
status, text = call(image, layer, output="in-place", strength=0.0)
same = stored(layer) == before
status, text = call(image, layer, output="in-place", detail="guided", **{preset})
dump(layer, {str(result) + ".preset"!r})
report(OUT, status=status, same=same)
""")
    assert facts == {"status": "success", "same": True}
    strong = drht_plugin.correct(image, detail="guided", **preset)
    np.testing.assert_array_equal(read(gimp.folder / "out.preset", image), strong)
    expected = drht_plugin.correct(image, detail="guided", **settings)
    np.testing.assert_array_equal(read(result, image), expected)


def test_32_bit_integers_go_as_floats(gimp: Gimp) -> None:
    """32-bit integers, which the library has not, are corrected as their values in float."""
    gimp.install()
    source, result = gimp.folder / "in", gimp.folder / "out"
    values = picture(HEIGHT, WIDTH, 3, "uint16", 0, (0.0, 0.4)).astype(np.uint32) * 65537
    values.tofile(source)
    facts = gimp.run(f"""
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT}, precision="U32_NON_LINEAR")
status, text = call(image, layer, output="in-place")
dump(layer, {str(result)!r})
report(OUT, status=status)
""")
    assert facts["status"] == "success"
    expected = drht_plugin.correct((values / (2**32 - 1)).astype(np.float32))
    found = np.fromfile(result, np.uint32).reshape(values.shape) / (2**32 - 1)
    np.testing.assert_allclose(found, expected.clip(0, 1), rtol=0, atol=1e-5)


def test_selection_offsets_and_locks(gimp: Gimp) -> None:
    """In place: nothing changes outside the selection, a feather blends, an offset layer is whole.

    The layer lies partly outside the canvas and has its alpha locked.
    """
    gimp.install()
    source = gimp.folder / "in"
    image = sample(source, 4, "uint8")
    facts = gimp.run(f"""
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT}, alpha=True)
layer.set_offsets(-10, 7)
layer.set_lock_alpha(True)
image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 20, 40, 30)
Gimp.Selection.feather(image, 6)
dump(Gimp.Selection.save(image), {str(gimp.folder / "mask")!r})
status, text = call(image, layer, output="in-place")
dump(layer, {str(gimp.folder / "out")!r})
report(OUT, status=status, offsets=layer.get_offsets()[1:], lock=layer.get_lock_alpha())
""")
    assert facts == {"status": "success", "offsets": [-10, 7], "lock": True}
    result = read(gimp.folder / "out", image).astype(int)
    canvas = np.fromfile(gimp.folder / "mask", np.uint8).reshape(HEIGHT, WIDTH)
    mask = np.zeros((HEIGHT, WIDTH), int)
    mask[: HEIGHT - 7, 10:] = canvas[7:, : WIDTH - 10]
    expected = drht_plugin.correct(image).astype(int)
    np.testing.assert_array_equal(result[mask == 0], image[mask == 0])
    np.testing.assert_array_equal(result[mask == 255], expected[mask == 255])
    np.testing.assert_array_equal(result[..., 3], image[..., 3])
    edge = (mask > 0) & (mask < 255) & (image[..., 3] > 0)
    assert edge.sum() > 100
    low, high = np.minimum(image, expected)[edge], np.maximum(image, expected)[edge]
    assert ((low - 1 <= result[edge]) & (result[edge] <= high + 1)).all()
    assert (result[edge] != image[edge]).any()


def test_new_layer_hides_what_is_not_selected(gimp: Gimp) -> None:
    """A new layer is all corrected, behind a mask of the selection; nothing changes beside it.

    Where the layer has a mask already, the new one keeps it, and is corrected in the selection.
    """
    gimp.install()
    source = gimp.folder / "in"
    image = sample(source, 3, "uint8")
    facts = gimp.run(f"""
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT})
layer.set_offsets(4, -3)
image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 20, 40, 30)
before = Gimp.Layer.new_from_visible(image, image, "before")
status, made = call(image, layer)
assert status == "success", made
dump(made, {str(gimp.folder / "out")!r})
dump(made.get_mask(), {str(gimp.folder / "mask")!r})
dump(before, {str(gimp.folder / "before")!r})
dump(Gimp.Layer.new_from_visible(image, image, "after"), {str(gimp.folder / "after")!r})
kept = stored(layer) == open({str(source)!r}, "rb").read()
names = [each.get_name() for each in image.get_layers()]
offsets = made.get_offsets()[1:]

image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT})
layer.add_mask(layer.create_mask(Gimp.AddMaskType.BLACK))
image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 20, 40, 30)
status, made = call(image, layer)
assert status == "success", made
dump(made, {str(gimp.folder / "masked")!r})
black = not any(stored(made.get_mask()))
report(OUT, kept=kept, names=names, offsets=offsets, black=black)
""")
    expected = drht_plugin.correct(image)
    names = ["picture (recovered exposure)", "picture"]
    assert facts == {"kept": True, "names": names, "offsets": [4, -3], "black": True}
    np.testing.assert_array_equal(read(gimp.folder / "out", image), expected)
    mask = np.fromfile(gimp.folder / "mask", np.uint8).reshape(HEIGHT, WIDTH)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[23:53, 16:56] = True
    np.testing.assert_array_equal(mask, np.where(inside, 255, 0))
    shape = (HEIGHT, WIDTH, 4)
    before = np.fromfile(gimp.folder / "before", np.uint8).reshape(shape)
    after = np.fromfile(gimp.folder / "after", np.uint8).reshape(shape)
    selected = np.zeros((HEIGHT, WIDTH), bool)
    selected[20:50, 20:60] = True
    np.testing.assert_array_equal(after[~selected], before[~selected])
    np.testing.assert_array_equal(after[20:50, 20:60, :3], expected[23:53, 16:56])
    masked = read(gimp.folder / "masked", image)
    np.testing.assert_array_equal(masked[selected], expected[selected])
    np.testing.assert_array_equal(masked[~selected], image[~selected])


@pytest.mark.parametrize("output", ["in-place", "new-layer"])
def test_nothing_selected_in_the_layer(gimp: Gimp, output: str) -> None:
    """A selection beside the layer changes nothing, and the image is not dirty."""
    gimp.install()
    source = gimp.folder / "in"
    sample(source, 3, "uint8")
    facts = gimp.run(f"""
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT})
layer.set_offsets(60, 0)
image.select_rectangle(Gimp.ChannelOps.REPLACE, 5, 5, 20, 20)
image.clean_all()
status, result = call(image, layer, output={output!r})
same = stored(layer) == open({str(source)!r}, "rb").read()
report(OUT, status=status, same=same, dirty=image.is_dirty(), layers=len(image.get_layers()))
""")
    assert facts == {"status": "success", "same": True, "dirty": False, "layers": 1}


def test_refusals_say_why(gimp: Gimp) -> None:
    """What cannot be corrected is refused with the reason, before a worker starts."""
    gimp.install(["/nonexistent/python"])
    source = gimp.folder / "in"
    sample(source, 3, "uint8")
    facts = gimp.run(f"""
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT})
other = layer.copy()
image.insert_layer(other, None, 0)
mask = layer.create_mask(Gimp.AddMaskType.WHITE)
layer.add_mask(mask)
group = Gimp.GroupLayer.new(image, "folder")
image.insert_layer(group, None, 0)
inner = layer.copy()
image.insert_layer(inner, group, 0)
channel = Gimp.Channel.new(image, "extra", {WIDTH}, {HEIGHT}, 50, Gegl.Color.new("red"))
image.insert_channel(channel, None, 0)
pasted, below = make({str(source)!r}, {WIDTH}, {HEIGHT})
Gimp.edit_copy([below])
[floating] = Gimp.edit_paste(below, False)
indexed, flat = make({str(source)!r}, {WIDTH}, {HEIGHT})
indexed.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.WEB, 16, False,
    False, "")
for each in (image, indexed, pasted):
    each.clean_all()
said = dict(
    group=call(image, group, output="in-place"), mask=call(image, mask),
    channel=call(image, channel), none=call(image), floating=call(pasted, floating),
    indexed=call(indexed, flat))
layer.set_lock_content(True)
group.set_lock_content(True)
image.clean_all()
said.update(locked=call(image, layer), inherited=call(image, inner))
report(OUT, said=said, dirty=[image.is_dirty(), indexed.is_dirty()])
""")
    assert facts["dirty"] == [False, False]
    said: dict[str, list[str]] = facts["said"]
    assert {status for status, _ in said.values()} == {"execution-error"}
    for name, words in {
        "group": "“folder” is a layer group",
        "mask": "is a layer mask",
        "channel": "“extra” is a channel",
        "floating": "is a floating selection; anchor it",
        "none": "No layer is selected",
        "indexed": "indexed mode",
        "locked": "pixels of “picture” are locked",
        "inherited": "pixels of “folder” are locked",
    }.items():
        assert words in said[name][1], (name, said[name])
