"""Layer groups are corrected by their visible result, in a real GIMP."""

from __future__ import annotations

import pytest
from gimp_harness import Gimp
from test_gimp_layers import HEIGHT, HELPERS, WIDTH, distance, install_negative, read, sample

# What is done to a group of a picture, and of a half-transparent one in Multiply over it.
_GROUPS = {
    "plain": "",
    "half": "group.set_opacity(50); group.set_mode(Gimp.LayerMode.SCREEN)",
    "mask": "mask(group, 100)",
    "effect": 'group.append_filter(Gimp.DrawableFilter.new(group, "gegl:invert-gamma", ""))',
    "effect and mask": """
group.append_filter(Gimp.DrawableFilter.new(group, "gegl:invert-gamma", ""))
mask(group, 100)
""",
    "shifted": "inner.set_offsets(-9, 4)",
    "nested": """
outer = Gimp.GroupLayer.new(image, "outer")
image.insert_layer(outer, None, 1)
image.reorder_item(group, outer, 0)
outer.set_opacity(80)
""",
    "through": "group.set_mode(Gimp.LayerMode.PASS_THROUGH); group.set_opacity(70)",
}

_PICTURE = """
image, below = make(BELOW, {width}, {height}, alpha=True)
group = Gimp.GroupLayer.new(image, "folder")
image.insert_layer(group, None, 0)
inner = add(image, FLAT, "inner", group)
over = add(image, IN, "over", group)
over.set_mode(Gimp.LayerMode.MULTIPLY)
top = add(image, IN, "top", width=30, height=20)
"""


def script(gimp: Gimp, body: str) -> str:
    """A script with pictures, the group in question, and the helpers."""
    names = {"BELOW": "below", "FLAT": "flat", "IN": "in"}
    given = "".join(f"{name} = {str(gimp.folder / file)!r}\n" for name, file in names.items())
    picture = "def picture():\n" + _PICTURE.format(width=WIDTH, height=HEIGHT).replace(
        "\n", "\n    "
    )
    return f"{HELPERS}\n{given}\n{picture}\n    return image, group, inner, over\n{body}"


def make_pictures(gimp: Gimp) -> None:
    """Two opaque pictures and a half-transparent one."""
    for name, seed in (("below", 1), ("flat", 2), ("in", 0)):
        image = sample(gimp.folder / name, 4, seed, 0.8)
        if name != "in":
            image[..., 3] = 255
            image.tofile(gimp.folder / name)


def test_group_is_corrected_as_it_is_seen(gimp: Gimp) -> None:
    """The merged picture is that with a layer of the group's corrected result in its place.

    With the group's mode, opacity, mask and effects; at strength 0 nothing changes. Layers in the
    group stay as they are.
    """
    install_negative(gimp)
    make_pictures(gimp)
    body = ["facts = []\n"]
    for number, deed in enumerate(_GROUPS.values()):
        out = str(gimp.folder / f"{number}")
        body.append(f"""
image, group, inner, over = picture()
{deed}
seen(image, {out + ".before"!r})
other = image.duplicate()
[copy] = [each for each in other.get_layers() if each.is_group()]
copy = copy.get_children()[0] if copy.get_name() == "outer" else copy
status, made = call(other, copy, strength=0.0)
assert status == "success", made
seen(other, {out + ".same"!r})
kept = stored(inner), stored(over)
status, made = call(image, group)
assert status == "success", made
seen(image, {out + ".after"!r})
facts.append([made.get_name(), made.is_group(), made.get_mode().value_nick, made.get_opacity(),
    image.get_item_position(made) + 1 == image.get_item_position(group),
    made.get_parent() == group.get_parent(), kept == (stored(inner), stored(over)),
    group.get_visible()])
# The effect on each pixel is that of an effect on the group, which the negative is, too.
made.set_visible(False)
group.set_visible(True)
group.append_filter(Gimp.DrawableFilter.new(group, "gegl:invert-gamma", "")) if (
    group.get_mode() != Gimp.LayerMode.PASS_THROUGH) else None
seen(image, {out + ".expected"!r})
image.delete()
""")
    facts = gimp.run(script(gimp, "".join(body)) + "report(OUT, facts=facts)")["facts"]
    for number, (name, fact) in enumerate(zip(_GROUPS, facts, strict=True)):
        before, same, after, expected = (
            read(gimp.folder / f"{number}.{end}") for end in ("before", "same", "after", "expected")
        )
        assert distance(same, before) <= 1, name
        if name != "through":
            assert distance(after, expected) <= 1, name
        assert distance(after, before) > 10, name
        mode, opacity = {
            "half": ("screen", 50),
            "through": ("normal", 70),
        }.get(name, ("normal", 100))
        stays = name in ("plain", "effect", "shifted", "nested")
        assert fact[:4] == ["folder (recovered exposure)", False, mode, pytest.approx(opacity)]
        assert fact[4:] == [True, True, True, stays], name


def test_group_that_blends_with_what_is_below_is_refused(gimp: Gimp) -> None:
    """A group that passes modes through and has no picture of its own is refused, with the reason.

    What is visible can be corrected then.
    """
    install_negative(gimp)
    make_pictures(gimp)
    facts = gimp.run(
        script(
            gimp,
            """
image, group, inner, over = picture()
inner.set_visible(False)
group.set_mode(Gimp.LayerMode.PASS_THROUGH)
image.clean_all()
status, said = call(image, group)
facts = [status, said, image.is_dirty()]
report(OUT, facts=facts, visible=call(image, group, input="visible")[0])
""",
        )
    )
    status, said, dirty = facts["facts"]
    assert (status, dirty, facts["visible"]) == ("execution-error", False, "success")
    assert "“folder” blend with what lies below the group" in said
    assert "set the group's mode to Normal, or correct what is visible" in said
