"""Text, vector and link layers: what they are drawn from again does not take the result away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gimp_harness import Gimp
from test_gimp_layers import HEIGHT, HELPERS, WIDTH, install_negative, sample

_START = f"""{HELPERS}
def save(image, path):
    file = Gio.File.new_for_path(path)
    assert Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)

def named(image, name):
    return next(each for each in image.get_layers() if each.get_name() == name)

def kind(layer):
    kinds = ("text", "vector", "link")
    return [each for each in kinds if getattr(layer, f"is_{{each}}_layer", bool)()]

image, below = make(IN, {WIDTH}, {HEIGHT}, alpha=True)
"""

# How each kind is made, and how what it is drawn from is changed after the image is opened again.
_KINDS = {
    "text": (
        """
font = Gimp.Font.get_by_name("DejaVu Sans") or Gimp.context_get_font()
source = Gimp.TextLayer.new(image, "Bridge", font, 20, Gimp.Unit.pixel())
image.insert_layer(source, None, 0)
source.set_color(Gegl.Color.new("#204060"))
""",
        "",
        'source.set_text("Golden Gate")',
    ),
    "vector": (
        """
path = Gimp.Path.new(image, "path")
image.insert_path(path, None, 0)
points = [x for at in ((5, 5), (30, 5), (30, 30)) for x in 3 * at]
path.stroke_new_from_points(Gimp.PathStrokeType.BEZIER, points, True)
source = Gimp.VectorLayer.new(image, path)
image.insert_layer(source, None, 0)
source.set_enable_fill(True)
source.set_fill_color(Gegl.Color.new("#204060"))
source.refresh()
""",
        "",
        'source.set_fill_color(Gegl.Color.new("red")); source.refresh()',
    ),
    "link": (
        """
save(image, FOLDER + "/linked.png")
source = Gimp.LinkLayer.new(image, Gio.File.new_for_path(FOLDER + "/linked.png"))
image.insert_layer(source, None, 0)
""",
        """
other, inner = make(OTHER, {width}, {height}, alpha=True)
save(other, FOLDER + "/linked.png")
""",
        'source.set_file(Gio.File.new_for_path(FOLDER + "/linked.png"))',
    ),
}


@pytest.mark.parametrize("kind", _KINDS)
def test_result_stays_when_its_source_is_edited(gimp: Gimp, kind: str) -> None:
    """The new layer is plain: saved, reopened and with its source edited it is as it was made.

    The merged picture is that with the source's pixels corrected, before and after saving. A result
    in place is there when the image is opened again, also where a linked file has changed.
    """
    if kind != "text" and gimp.version == "3.0":
        pytest.skip("GIMP 3.0 has no vector and link layers")
    gimp.fonts = True
    install_negative(gimp)
    sample(gimp.folder / "in")
    sample(gimp.folder / "other", 4, 1)
    make, change, edit = _KINDS[kind]
    folder = str(gimp.folder)
    change = change.format(width=WIDTH, height=HEIGHT)
    facts = gimp.run(f"""
FOLDER, IN, OTHER = {folder!r}, {folder + "/in"!r}, {folder + "/other"!r}
{_START}{make}
facts = {{"kind": kind(source)}}
given = stored(source)
status, made = call(image, source)
assert status == "success", made
facts["made"] = [kind(made), source.get_visible(), stored(source) == given]
result = stored(made)
facts["negative"] = result == bytes(
    each if number % 4 == 3 else 255 - each for number, each in enumerate(given))
seen(image, FOLDER + "/made")
name, source_name = made.get_name(), source.get_name()
save(image, FOLDER + "/new.xcf")

status, inside = call(image, source, output="in-place")
assert status == "success", inside
facts["inside"] = stored(source) == result
save(image, FOLDER + "/inside.xcf")
{change}
image = load(FOLDER + "/new.xcf")
seen(image, FOLDER + "/opened")
made, source = named(image, name), named(image, source_name)
facts["opened"] = [kind(made), kind(source), stored(made) == result]
{edit}
facts["edited"] = [stored(made) == result, stored(source) == given]
image = load(FOLDER + "/inside.xcf")
facts["inside, opened"] = stored(named(image, source_name)) == result
report(OUT, **facts)
""")
    expected: dict[str, Any] = {
        "kind": [kind],
        "made": [[], False, True],
        "negative": True,
        "inside": True,
        "opened": [[], [kind], True],
        "edited": [True, False],
        "inside, opened": True,
    }
    assert facts == expected
    made, opened = (np.fromfile(gimp.folder / each, np.uint8) for each in ("made", "opened"))
    np.testing.assert_array_equal(made, opened)
