"""What the preview shows, in GIMP on a screen of its own; the pixels are those on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import profiles
import pytest
import pyvips
from gimp_harness import Gimp
from gimp_screen import PICTURE, Screen

import drht_plugin

Image = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 900, 640


@pytest.fixture(scope="module")
def source() -> Image:
    """A dark picture."""
    whole = pyvips.Image.new_from_file(str(PICTURE))
    pixels: Image = whole.crop(150, 60, WIDTH, HEIGHT).numpy()[..., :3]
    return np.ascontiguousarray(pixels)


class Stage:
    """Runs scripts with a preview of the picture; see `inside_preview.Stage`."""

    def __init__(self, gimp: Gimp, source: Image) -> None:
        self.gimp, self._screen = gimp, Screen(gimp, "1366x768")
        gimp.environment["DISPLAY"] = self._screen.display
        gimp.install(details=["auto", "guided", "network"])
        (gimp.folder / "in").write_bytes(source.tobytes())

    def run(self, prepare: str, act: str, **settings: Any) -> dict[str, Any]:
        """Run a script that makes an image, and one that looks at its preview."""
        plugin, file = str(self.gimp.profile / "plug-ins/drht"), str(self.gimp.folder / "in")
        return self.gimp.run(f"""
{self.gimp.inside("inside_preview.py")}
image, layer = make({file!r}, {WIDTH}, {HEIGHT}, **{settings!r})
{prepare}
stage = Stage({plugin!r}, layer)
{act}
stage.end()
""")

    def close(self) -> None:
        """Let go of the screen's log."""
        self._screen.close()


@pytest.fixture
def stage(gimp: Gimp, source: Image) -> Iterator[Stage]:
    """A stage for previews."""
    made = Stage(gimp, source)
    yield made
    made.close()


def decode(shown: dict[str, Any]) -> Image:
    """The pixels of `inside_preview.Stage.pixels`, H×W×3."""
    data = np.frombuffer(bytes.fromhex(shown["hex"]), np.uint8)
    return data.reshape(shown["height"], shown["width"], 3)


def test_the_preview_shows_the_picture_s_own_pixels(stage: Stage, source: Image) -> None:
    """At 1:1 it shows the result, bit for bit, also panned, and network detail; fit shows all."""
    facts = stage.run(
        "",
        """
fit = [stage.pixels(1.0), stage.pixels(0.0)]
stage.look(stage.preview.view.zoomed(1.0))
full = [stage.pixels(1.0), stage.pixels(0.0)]
part = stage.preview.view.part
stage.look(stage.preview.view.panned(37, -21))
panned, panned_part = stage.pixels(0.0), stage.preview.view.part
stage.config.set_property("detail", "network")
stage.settle(1.0)
for detail in ("guided", "network"):
    _, made = call(image, layer, detail=detail)
    dump(made, OUT + "." + detail)
report(OUT, fit=fit, full=full, part=list(part), panned=panned, panned_part=list(panned_part),
    network=stage.pixels(0.0))
""",
    )

    def result(detail: str) -> Image:
        data = (stage.gimp.folder / f"out.json.{detail}").read_bytes()
        return np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, -1)[..., :3]

    corrected = result("guided")
    before, after = map(decode, facts["fit"])
    assert before.shape[1] / before.shape[0] == pytest.approx(WIDTH / HEIGHT, rel=0.01)
    assert before.mean() == pytest.approx(source.mean(), abs=0.5)
    assert after.mean() == pytest.approx(corrected.mean(), abs=1.0)

    def cut(image: Image, part: list[int]) -> Image:
        _, _, top, left, rows, columns = part
        return image[top : top + rows, left : left + columns]

    before, after = map(decode, facts["full"])
    np.testing.assert_array_equal(before, cut(source, facts["part"]))
    np.testing.assert_array_equal(after, cut(corrected, facts["part"]))
    assert facts["panned_part"][2:4] == [facts["part"][2] + 21, facts["part"][3] - 37]
    np.testing.assert_array_equal(decode(facts["panned"]), cut(corrected, facts["panned_part"]))
    network = cut(result("network"), facts["panned_part"])
    # Convolutions round by how the network's tiles are cut.
    assert np.abs(decode(facts["network"]).astype(int) - network).max() <= 1
    assert (network != decode(facts["panned"])).mean() > 0.1


def test_selection_and_mask_are_respected(stage: Stage, source: Image) -> None:
    """Only what is selected is corrected, by its share, and what is masked is seen through."""
    facts = stage.run(
        """
layer.set_offsets(10, 20)
image.resize(1000, 700, 0, 0)
image.select_rectangle(Gimp.ChannelOps.REPLACE, 460, 0, 540, 700)
Gimp.Selection.feather(image, 60)
selected = image.get_selection()
dump(selected, OUT + ".selected")
mask = layer.create_mask(Gimp.AddMaskType.WHITE)
layer.add_mask(mask)
shadow = mask.get_buffer()
shadow.set(Gegl.Rectangle.new(0, 300, 900, 340), "Y' u8", bytes(900 * 340))
shadow.flush()
""",
        """
stage.look(stage.preview.view.zoomed(1.0))
report(OUT, shown=stage.pixels(0.0), part=list(stage.preview.view.part))
""",
    )
    _, _, top, left, rows, columns = facts["part"]
    inside = slice(top, top + rows), slice(left, left + columns)
    data = (stage.gimp.folder / "out.json.selected").read_bytes()
    item = len(data) // (1000 * 700)
    kind = np.dtype({1: "u1", 2: "u2", 4: "f4"}[item])
    selected = np.frombuffer(data, kind).reshape(700, 1000).astype(float)
    selected /= 1.0 if item == 4 else 256**item - 1
    share = selected[20 : 20 + HEIGHT, 10 : 10 + WIDTH][..., None]
    expected = source + share * (drht_plugin.correct(source).astype(float) - source)
    shown = decode(facts["shown"]).astype(float)
    seen = np.arange(top, top + rows) < 300
    assert seen.any()
    assert not seen.all()
    assert np.abs(shown[seen] - expected[inside][seen]).max() <= 2
    assert {0 < value < 1 for value in share[inside].ravel()} == {True, False}
    assert set(np.unique(shown[~seen])) == {0x66, 0x99}


@pytest.mark.parametrize("precision", ["U8_NON_LINEAR", "FLOAT_LINEAR"])
def test_colours_are_the_monitor_s(stage: Stage, source: Image, precision: str) -> None:
    """With a monitor's profile in GIMP, the preview has the codes that this monitor needs."""
    monitor = stage.gimp.folder / "monitor.icc"
    monitor.write_bytes(profiles.rgb("adobe"))
    rc = stage.gimp.profile / "gimprc"
    settings = f'(color-management (mode display) (display-profile "{monitor}"))\n'
    rc.write_text(rc.read_text() + settings)
    pixels = source
    if precision == "FLOAT_LINEAR":
        codes = source / 255.0
        linear = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
        (stage.gimp.folder / "in").write_bytes(linear.astype(np.float32).tobytes())
    facts = stage.run(
        "",
        """
stage.look(stage.preview.view.zoomed(1.0))
report(OUT, shown=stage.pixels(1.0), part=list(stage.preview.view.part))
""",
        precision=precision,
    )
    _, _, top, left, rows, columns = facts["part"]
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    expected = image.icc_transform(
        str(monitor), input_profile="srgb", intent="relative", black_point_compensation=True
    ).numpy()[top : top + rows, left : left + columns]
    shown = decode(facts["shown"]).astype(int)
    assert np.abs(shown - expected).max() <= 2
    assert np.abs(shown - source[top : top + rows, left : left + columns]).mean() > 1


def test_split_and_zoom(stage: Stage, source: Image) -> None:
    """The border parts before from after; closer than 1:1 a pixel becomes a square."""
    facts = stage.run(
        "",
        """
before, after = stage.pixels(1.0), stage.pixels(0.0)
both = stage.pixels(0.25)
stage.look(stage.preview.view.zoomed(4.0))
close, part = stage.pixels(1.0), list(stage.preview.view.part)
report(OUT, before=before, after=after, both=both, close=close, part=part)
""",
    )
    before, after, both = (decode(facts[name]) for name in ("before", "after", "both"))
    border = round(0.25 * both.shape[1])
    np.testing.assert_array_equal(both[:, :border], before[:, :border])
    np.testing.assert_array_equal(both[:, border:], after[:, border:])
    _, _, top, left, rows, columns = facts["part"]
    pixels = source[top : top + rows, left : left + columns]
    np.testing.assert_array_equal(decode(facts["close"]), pixels.repeat(4, 0).repeat(4, 1))


def test_the_screen_s_own_pixels_are_used(stage: Stage, source: Image) -> None:
    """With two pixels of the screen to one of the window, each of the picture has one at 1:1."""
    stage.gimp.environment["GDK_SCALE"] = "2"
    facts = stage.run(
        "",
        """
from gi.repository import Gdk
stage.look(stage.preview.view.zoomed(1.0))
window = stage.preview.widget.get_window()
time.sleep(0.3)
while Gtk.events_pending():
    Gtk.main_iteration()
grabbed = Gdk.pixbuf_get_from_window(window, 0, 0, window.get_width(), window.get_height())
width, height, stride = grabbed.get_width(), grabbed.get_height(), grabbed.get_rowstride()
count = grabbed.get_n_channels() * width
rows = [grabbed.get_pixels()[stride * row : stride * row + count] for row in range(height)]
report(OUT, hex=b"".join(rows).hex(), width=width, height=height,
    area=list(stage.preview.view.area), scale=stage.preview.scale,
    place=list(stage.preview.view.place), shown=stage.pixels())
""",
    )
    assert facts["scale"] == 2
    assert [facts["width"], facts["height"]] == facts["area"]
    left, top, width, height = facts["place"]
    left, top = left // 2 * 2, top // 2 * 2
    assert (width, height) == (facts["shown"]["width"], facts["shown"]["height"])
    grabbed = decode(facts)[top : top + height, left : left + width]
    shown = decode(facts["shown"])[: grabbed.shape[0], : grabbed.shape[1]]
    np.testing.assert_array_equal(grabbed, shown)


def test_nothing_is_left_behind(stage: Stage) -> None:
    """Whatever was looked at, the worker has not more pictures than it takes, and ends."""
    facts = stage.run(
        "",
        """
for zoom in (0.7, 1.0, 2.0, 1.0, 0.9, 3.0):
    stage.look(stage.preview.view.zoomed(zoom))
stage.window.resize(500, 400)
stage.settle()
report(OUT, number=stage.feed.correction.window.number)
""",
    )
    assert facts["number"] == 1
    stage.gimp.wait_until_quiet()
