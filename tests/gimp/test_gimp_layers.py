"""Layers of every kind, several layers, groups and what is visible, in a real GIMP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gimp_harness import Gimp
from strategies import picture

from drht_plugin import correct

Image = npt.NDArray[Any]

HEIGHT, WIDTH = 40, 60

# A worker that corrects a picture to its negative, without the time that networks take to load.
_NEGATIVE = """
import os, sys, time
import numpy as np
from drht_plugin.cli import main
from drht_plugin.worker.session import Session
def render(self, picture, strength, **others):
    shared = self._pictures[picture]
    values = np.asarray(shared.pixels[:]).astype(float)
    changed = values + strength * (255 - 2 * values)
    if values.shape[-1] in (2, 4):
        changed[..., -1] = values[..., -1]
    shared.result[:] = changed.astype(np.uint8)
    return {}
def survey(self, picture, **others):
    if PAUSE:
        open(PAUSE + "/busy", "w").close()
        while not os.path.exists(PAUSE + "/go"):
            time.sleep(0.05)
    if self._pictures[picture].pixels.shape[0] == FAILS:
        raise ValueError("this height fails")
    return {}
Session._render, Session._survey, Session._warm_up = render, survey, lambda self: None
sys.exit(main(["worker", *sys.argv[1:]]))
"""

# How the layer lies over an opaque one: what is done to it before the call.
_STACKS = {
    "plain": "",
    "multiply": "layer.set_mode(Gimp.LayerMode.MULTIPLY); layer.set_opacity(50)",
    "half": "layer.set_opacity(50)",
    "overlay in its own spaces": """
layer.set_mode(Gimp.LayerMode.OVERLAY)
layer.set_blend_space(Gimp.LayerColorSpace.RGB_LINEAR)
layer.set_composite_space(Gimp.LayerColorSpace.RGB_PERCEPTUAL)
layer.set_composite_mode(Gimp.LayerCompositeMode.INTERSECTION)
""",
    "dissolve": "layer.set_mode(Gimp.LayerMode.DISSOLVE)",
    "clipped": "layer.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_LAYER)",
    "half mask": "mask(layer, 100)",
    "white mask": "mask(layer, 255)",
    "half mask, not applied": "mask(layer, 100); layer.set_apply_mask(False)",
    "shifted": "layer.set_offsets(7, -5)",
    "alone": "below.set_visible(False)",
    "unseen": "layer.set_visible(False)",
    "effect": """
effect = Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "negative")
layer.append_filter(effect)
""",
}

_COVERED = ("plain", "white mask", "half mask, not applied", "shifted", "alone", "effect")
"""Where an opaque layer is not seen below the new one."""

_HELPERS = """
def seen(image, path):
    layer = Gimp.Layer.new_from_visible(image, image, "seen")
    dump(layer, path)
    layer.delete()

def mask(layer, code):
    made = layer.create_mask(Gimp.AddMaskType.WHITE)
    width, height = made.get_width(), made.get_height()
    write(made, bytes([code, 0] * (width * height // 2)))
    layer.add_mask(made)

def add(image, path, name, parent=None, width={width}, height={height}):
    kind = Gimp.ImageType.RGBA_IMAGE
    layer = Gimp.Layer.new(image, name, width, height, kind, 100, Gimp.LayerMode.NORMAL)
    assert image.insert_layer(layer, parent, 0)
    write(layer, open(path, "rb").read()[: 4 * width * height])
    layer.update(0, 0, width, height)
    return layer

def stack(image):
    return [each.get_name() for each in image.get_layers() if each.get_visible()]
"""
HELPERS = _HELPERS.format(width=WIDTH, height=HEIGHT)


def sample(path: Path, channels: int = 4, seed: int = 0, span: float = 0.4) -> Image:
    """A dark picture of 8 bits in a file; where it has alpha, with all values of it."""
    image = picture(HEIGHT, WIDTH, channels, "uint8", seed, (0.0, span))
    if channels == 4:
        image[..., 3] = (
            np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).T.reshape(HEIGHT, WIDTH)
        )
    image.tofile(path)
    return image


def read(path: Path, channels: int = 4) -> Image:
    """Pixels of 8 bits that a script dumped."""
    return np.fromfile(path, np.uint8).reshape(HEIGHT, WIDTH, channels)


def distance(first: Image, second: Image) -> int:
    """The largest difference in codes, where something is to be seen."""
    one, two = first.astype(int), second.astype(int)
    colour = np.abs(one[..., :3] - two[..., :3]).max(-1)
    # A colour of little alpha has only some codes.
    alpha = np.minimum(one[..., 3], two[..., 3])
    return int(max((colour * alpha / 255).max(), np.abs(one[..., 3] - two[..., 3]).max()))


def install_negative(gimp: Gimp, fails: int = 0, pause: Path | None = None) -> None:
    """Install the plug-in with the worker of negatives.

    Args:
        gimp: the GIMP.
        fails: height of pictures that it fails for.
        pause: folder where its survey makes the file "busy", and waits for the file "go".
    """
    code = _NEGATIVE.replace("FAILS", str(fails)).replace("PAUSE", repr(str(pause or "")))
    gimp.install([sys.executable, "-I", "-c", code])


def negative(image: Image) -> Image:
    """What the worker of negatives makes of a picture of 8 bits."""
    made = 255 - image
    if image.shape[-1] == 4:
        made[..., 3] = image[..., 3]
    return made


@pytest.mark.parametrize("selected", [False, True], ids=["all", "selection"])
@pytest.mark.parametrize("opaque", [True, False], ids=["opaque", "translucent"])
def test_new_layer_changes_the_look_by_the_correction_alone(
    gimp: Gimp, opaque: bool, selected: bool
) -> None:
    """The merged picture with the new layer is that with the layer's pixels corrected in it.

    Whatever the layer's mode, opacity, spaces, mask, transparency, effects and selection are; and a
    correction of strength 0 does not change it. The layer is hidden where it would shine through.
    """
    install_negative(gimp)
    below, source = gimp.folder / "below", gimp.folder / "in"
    for path, seed, flat in ((below, 1, True), (source, 0, opaque)):
        image = sample(path, 4, seed)
        image[..., 3] = 255 if flat else image[..., 3]
        image.tofile(path)
    negative(image).tofile(gimp.folder / "corrected")
    script = [
        HELPERS,
        f"""
replaced = open({str(gimp.folder / "corrected")!r}, "rb").read()
given = open({str(source)!r}, "rb").read()
facts = []
""",
    ]
    for number, deed in enumerate(_STACKS.values()):
        out = str(gimp.folder / f"{number}")
        script.append(f"""
image, below = make({str(below)!r}, {WIDTH}, {HEIGHT}, alpha=True)
layer = add(image, {str(source)!r}, "picture")
top = add(image, {str(source)!r}, "top", width=30, height=20)
{deed}
if {selected}:
    Gimp.context_set_antialias(False)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 5, 5, 40, 30)
    if not {opaque}:  # a mask of the selection blends in linear light, and pixels as they are coded
        Gimp.Selection.feather(image, 6)
seen(image, {out + ".before"!r})

# What is to come out: the layer's pixels replaced by hand; the negative of a negative is as given.
other = image.duplicate()
inner = other.get_layers()[1]
effects = inner.get_filters()
for effect in effects:
    effect.delete()
    write(inner, replaced)
shadow = inner.get_shadow_buffer()
shadow.set(whole(inner), "R'G'B'A u8", given if effects else replaced)
shadow.flush()
del shadow
assert inner.merge_shadow(True)
inner.update(0, 0, {WIDTH}, {HEIGHT})
seen(other, {out + ".expected"!r})
other.delete()

other = image.duplicate()
status, made = call(other, other.get_layers()[1], strength=0.0)
assert status == "success", made
seen(other, {out + ".same"!r})
other.delete()

image.clean_all()
status, made = call(image, layer)
assert status == "success", made
seen(image, {out + ".after"!r})
facts.append([stack(image), made.get_name(), image.get_item_position(made),
    [each.get_name() for each in image.get_selected_layers()], len(made.get_filters())])
image.delete()
""")
    facts = gimp.run("".join(script) + "report(OUT, facts=facts)")["facts"]
    for number, (name, (shown, *fact)) in enumerate(zip(_STACKS, facts, strict=True)):
        before, expected, same, after = (
            read(gimp.folder / f"{number}.{end}") for end in ("before", "expected", "same", "after")
        )
        assert distance(same, before) <= 1, name
        assert distance(after, expected) <= 1, name
        assert (distance(after, before) > 10) == (name != "unseen"), name
        made = fact[0]
        assert made.endswith(" (recovered exposure)")
        assert fact[1:] == [1, [made], 0], name
        stays = opaque and name in _COVERED
        assert len(shown) == {"alone": 2, "unseen": 2}.get(name, 3) + stays, name


def test_merged_result_is_the_correction_of_the_merged_picture(gimp: Gimp) -> None:
    """With the networks: half-transparent pixels alone, and what is visible of a Multiply at 50 %.

    The picture that the image merges to afterwards is what the library makes of the one that it
    merged to before.
    """
    gimp.install()
    below, source = gimp.folder / "below", gimp.folder / "in"
    sample(below, 4, 1)
    sample(source)
    facts = gimp.run(f"""{HELPERS}
facts = []
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT}, alpha=True)
seen(image, {str(gimp.folder / "0.before")!r})
facts.append(call(image, layer)[0])
seen(image, {str(gimp.folder / "0.after")!r})

image, _ = make({str(below)!r}, {WIDTH}, {HEIGHT}, alpha=True)
layer = add(image, {str(source)!r}, "picture")
layer.set_mode(Gimp.LayerMode.MULTIPLY)
layer.set_opacity(50)
seen(image, {str(gimp.folder / "1.before")!r})
status, made = call(image, layer, input="visible", output="in-place")
seen(image, {str(gimp.folder / "1.after")!r})
facts += [status, made.get_name(), made.get_opacity(), made.get_mode().value_nick, stack(image)]
report(OUT, facts=facts)
""")["facts"]
    made = "Visible (recovered exposure)"
    shown = [made, "picture", "picture"]
    assert [name.split(" #")[0] for name in facts.pop()] == shown
    assert facts == ["success", "success", made, 100, "normal"]
    for case in "01":
        before, after = (read(gimp.folder / f"{case}.{end}") for end in ("before", "after"))
        assert distance(after, correct(before)) <= 1
        assert distance(after, before) > 10


def test_visible_takes_the_selection(gimp: Gimp) -> None:
    """What is visible is corrected within the selection; what shows through stays as transparent.

    A layer of what is opaque gets the selection as its mask; layers and their visibility stay.
    """
    install_negative(gimp)
    source = gimp.folder / "in"
    image = sample(source)
    flat = gimp.folder / "flat"
    opaque = image.copy()
    opaque[..., 3] = 255
    opaque.tofile(flat)
    script = [HELPERS, "facts = []\n"]
    for name in ("in", "flat"):
        script.append(f"""
image, layer = make({str(gimp.folder / name)!r}, {WIDTH}, {HEIGHT}, alpha=True)
image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 10, 20, 20)
status, made = call(image, layer, input="visible")
seen(image, {str(gimp.folder / name) + ".after"!r})
facts.append([status, made.get_mask() is not None, len(stack(image))])
""")
    facts = gimp.run("".join(script) + "report(OUT, facts=facts)")["facts"]
    assert facts == [["success", False, 2], ["success", True, 2]]
    inside = np.zeros((HEIGHT, WIDTH, 1), bool)
    inside[10:30, 10:30] = True
    for name, pixels in (("in", image), ("flat", opaque)):
        expected = np.where(inside, negative(pixels), pixels)
        assert distance(read(gimp.folder / f"{name}.after"), expected) <= 1


def test_several_layers_in_one_step(gimp: Gimp) -> None:
    """Each selected layer is corrected by itself, above it or in place; groups as they are seen.

    Layers in a selected group count with the group, each counts once, those beside the selection
    are left out, and the new layers are selected.
    """
    install_negative(gimp)
    source = gimp.folder / "in"
    image = sample(source)
    negative(image).tofile(gimp.folder / "negative")
    facts = gimp.run(f"""{HELPERS}
def picture():
    image, below = make({str(source)!r}, {WIDTH}, {HEIGHT}, alpha=True)
    group = Gimp.GroupLayer.new(image, "folder")
    image.insert_layer(group, None, 0)
    inner = add(image, {str(source)!r}, "inner", group)
    above = add(image, {str(source)!r}, "above")
    return image, below, group, inner, above

def changed(layer):
    given = open({str(gimp.folder / "negative")!r}, "rb").read()
    return stored(layer) == given

facts = {{}}
image, below, group, inner, above = picture()
status, first = call(image, above, group, inner, below, above)
facts["all"] = [status, [each.get_name() for each in image.get_layers()], stack(image),
    [changed(each) for each in image.get_layers()],
    [each.get_name() for each in group.get_children()],
    sorted(each.get_name() for each in image.get_selected_layers()), first.get_name()]

image, below, group, inner, above = picture()
status, first = call(image, below, inner, output="in-place")
facts["in place"] = [status, [changed(each) for each in (below, inner, above)], first.get_name()]

image, below, group, inner, above = picture()
above.set_offsets({WIDTH - 2}, 0)
image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 20, 20)
status, first = call(image, below, above)
facts["beside"] = [status, [each.get_name() for each in image.get_layers()]]
report(OUT, **facts)
""")
    end = " (recovered exposure)"
    stack = [f"above{end}", "above", f"folder{end}", "folder", f"picture{end}", "picture"]
    made = stack[::2]
    assert facts["all"] == [
        "success",
        stack,
        made,
        [True, False, True, False, True, False],
        ["inner"],
        made,
        made[0],
    ]
    assert facts["in place"] == ["success", [True, True, False], "picture"]
    assert facts["beside"] == ["success", ["above", "folder", f"picture{end}", "picture"]]


@pytest.mark.parametrize("output", ["in-place", "new-layer"])
def test_a_layer_that_fails_leaves_all_as_they_are(gimp: Gimp, output: str) -> None:
    """Where one of several cannot be corrected, none is, and the message names it.

    Layers that were prepared are gone.
    """
    install_negative(gimp, fails=20)
    source = gimp.folder / "in"
    sample(source)
    facts = gimp.run(f"""{HELPERS}
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT}, alpha=True)
other = add(image, {str(source)!r}, "small", width=30, height=20)
image.clean_all()
before = stored(layer), stored(other)
status, said = call(image, layer, other, output={output!r})
same = before == (stored(layer), stored(other))
facts = [status, said, same, image.is_dirty(), len(image.get_layers())]
locked = add(image, {str(source)!r}, "locked")
locked.set_lock_visibility(True)
locked.set_opacity(50)
image.clean_all()
facts += [*call(image, layer, locked), image.is_dirty(), len(image.get_layers())]
last = add(image, {str(source)!r}, "last")
known = {{each.get_id() for each in image.get_layers()}}
ids = range(layer.get_id(), last.get_id())
left = [each for each in ids if Gimp.Item.id_is_layer(each) and each not in known]
report(OUT, facts=facts, left=left)
""")
    status, said, *unchanged = facts["facts"][:5]
    assert status == "execution-error"
    assert said.startswith("“small”: ")
    assert "this height fails" in said
    assert unchanged == [True, False, 2]
    if output == "new-layer":
        status, said, *unchanged = facts["facts"][5:]
        assert (status, unchanged) == ("execution-error", [False, 3])
        assert "“locked” would be seen through the result, and its visibility is locked" in said
    assert facts["left"] == []
