"""Layers and groups with effects that reach beyond them, in a real GIMP."""

from __future__ import annotations

import pytest
from gimp_harness import Gimp
from test_gimp_layers import HEIGHT, HELPERS, WIDTH, distance, install_negative, read, sample

_CASES = {
    "plain": "",
    "mask": "mask(source, 255)",
    "half mask": "mask(source, 100)",
    "mask, not applied": "mask(source, 100); source.set_apply_mask(False)",
    "half": "source.set_opacity(50); source.set_mode(Gimp.LayerMode.MULTIPLY)",
    "beyond the canvas": "",
    "clipped": "source.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_BACKDROP)",
}


@pytest.mark.parametrize("kind", ["layer", "group"])
def test_a_shadow_that_an_effect_adds_is_in_the_result(gimp: Gimp, kind: str) -> None:
    """At strength 0 the picture stays as it is, and beyond, the shadow is what is corrected, too.

    With a mask, which cuts the shadow off, without, and over the canvas's edges.
    """
    install_negative(gimp)
    below, source = gimp.folder / "below", gimp.folder / "in"
    for path, seed in ((below, 1), (source, 0)):
        image = sample(path, 4, seed, 1.0)
        image[..., 3] = 255
        image.tofile(path)
    script = [HELPERS, "facts = []\n"]
    for number, (name, deed) in enumerate(_CASES.items()):
        offsets = (-5, 25) if name == "beyond the canvas" else (15, 12)
        out = str(gimp.folder / f"{number}")
        script.append(f"""
image, _ = make({str(below)!r}, {WIDTH}, {HEIGHT}, alpha=True)
group = Gimp.GroupLayer.new(image, "folder") if {kind == "group"} else None
if group is not None:
    image.insert_layer(group, None, 0)
inner = add(image, {str(source)!r}, "inner", group, 20, 10)
inner.set_offsets(*{offsets})
source = group or inner
shadow = Gimp.DrawableFilter.new(source, "gegl:dropshadow", "")
shadow.get_config().set_property("x", -8.0)
shadow.get_config().set_property("y", -6.0)
shadow.get_config().set_property("radius", 2.0)
shadow.update()
source.append_filter(shadow)
{deed}
seen(image, {out + ".before"!r})
status, made = call(image, source, strength=0.0)
assert status == "success", made
seen(image, {out + ".same"!r})
image.remove_layer(made)
source.set_visible(True)
status, made = call(image, source)
seen(image, {out + ".after"!r})
facts.append([made.get_width(), made.get_offsets()[1:], len(made.get_filters())])
image.delete()
""")
    facts = gimp.run("".join(script) + "report(OUT, facts=facts)")["facts"]
    for number, (name, (width, (left, top), effects)) in enumerate(zip(_CASES, facts, strict=True)):
        before, same, after = (
            read(gimp.folder / f"{number}.{end}") for end in ("before", "same", "after")
        )
        assert distance(same, before) <= 1, name
        # A pixel of the shadow, which is black, and turns white.
        changed = distance(after[8:9, 10:11], before[8:9, 10:11]) > 3
        assert changed == (name in ("plain", "mask, not applied", "half", "clipped")), name
        assert effects == 0
        if name == "plain":
            assert (left < 15, top < 12, 20 < width < WIDTH) == (True, True, True)
