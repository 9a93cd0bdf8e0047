"""Which part of a picture the preview shows. Plain Python, without GIMP."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

_FILE = Path(__file__).parents[2] / "gimp" / "drht" / "drht_parts" / "view.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("view", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VIEW = _load()

sides = st.tuples(st.integers(1, 20000), st.integers(1, 20000))
areas = st.tuples(st.integers(1, 4000), st.integers(1, 3000))


def _view(size: tuple[int, int], area: tuple[int, int]) -> Any:
    return VIEW.View(size, area, None, (0.5, 0.5))


def _check(view: Any) -> None:
    """The part is inside the picture, no larger than it and than the area, and shown inside."""
    part, place = view.part, view.place
    width, height = view.size
    assert 1 <= part.width <= width
    assert 1 <= part.height <= height
    assert 0 <= part.left <= part.left + part.columns <= part.width
    assert 0 <= part.top <= part.top + part.rows <= part.height
    assert part.columns <= view.area[0] or part.columns == 1
    assert part.rows <= view.area[1] or part.rows == 1
    # At most a pixel of the picture is cut off.
    over = math.ceil(max(1.0, view.scale))
    assert place.left + place.width <= view.area[0] + over
    assert place.top + place.height <= view.area[1] + over


@given(sides, areas, st.data())
def test_what_is_seen_is_inside(
    size: tuple[int, int], area: tuple[int, int], data: st.DataObject
) -> None:
    """Whatever is zoomed, panned and resized, the worker can show the part."""
    view = _view(size, area)
    _check(view)
    for _ in range(5):
        act = data.draw(st.sampled_from(["zoom", "step", "pan", "resize"]))
        if act == "zoom":
            view = view.zoomed(data.draw(st.floats(1e-4, 32)))
        elif act == "step":
            at = data.draw(st.none() | st.tuples(*(st.integers(0, each) for each in view.area)))
            view = view.stepped(data.draw(st.integers(-3, 3)), at)
        elif act == "pan":
            view = view.panned(*data.draw(st.tuples(*[st.integers(-9000, 9000)] * 2)))
        else:
            view = view.resized(data.draw(areas))
        _check(view)


@given(st.tuples(st.integers(50, 20000), st.integers(50, 20000)), areas)
def test_fit_fills_the_area(size: tuple[int, int], area: tuple[int, int]) -> None:
    """The whole picture is seen, and reaches the area's edges on one axis."""
    view = _view(size, area)
    part, place = view.part, view.place
    assert (part.rows, part.columns) == (part.height, part.width)
    if view.fit < VIEW.CLOSEST:
        near = (abs(place.width - area[0]) <= 1, abs(place.height - area[1]) <= 1)
        assert any(near)


def test_one_to_one_shows_the_pixels_around_the_middle() -> None:
    """At 1:1 the part has the area's size, at its place in the picture."""
    view = _view((6000, 4000), (900, 600)).zoomed(1.0)
    assert view.part == (4000, 6000, 1700, 2550, 600, 900)
    assert view.place == (0, 0, 900, 600)
    assert view.is_full_size
    # A picture that is smaller than the area lies in its middle.
    small = _view((300, 200), (900, 600)).zoomed(1.0)
    assert small.part == (200, 300, 0, 0, 200, 300)
    assert small.place == (300, 200, 300, 200)


def test_the_point_under_the_pointer_stays() -> None:
    """Zooming in keeps the point, and panning moves it as far as the pointer goes."""
    view = _view((6000, 4000), (900, 600)).zoomed(0.5)
    zoomed = view.zoomed(2.0, (700, 200))

    def point(view: Any, at: tuple[int, int]) -> tuple[float, ...]:
        return tuple(
            c * s + (a - w / 2) / view.scale
            for c, s, a, w in zip(view.centre, view.size, at, view.area, strict=True)
        )

    for one, other in zip(point(view, (700, 200)), point(zoomed, (700, 200)), strict=True):
        assert abs(one - other) < 1e-6
    moved = zoomed.panned(40, -60)
    left, top = zoomed.part.left - moved.part.left, zoomed.part.top - moved.part.top
    assert (left, top) == (20, -30)


def test_steps_pass_one_to_one_and_end_at_fit() -> None:
    """From the whole picture, steps in reach 1:1 and the closest; steps out the whole again."""
    view = _view((6000, 4000), (900, 600))
    scales = [(view := view.stepped(1)).scale for _ in range(20)]
    assert scales == sorted(scales)
    assert 1.0 in scales
    assert scales[-1] == VIEW.CLOSEST
    assert view.stepped(-30).zoom is None


@given(sides, areas, st.floats(0.001, VIEW.CLOSEST))
def test_the_zoom_is_a_plain_number(
    size: tuple[int, int], area: tuple[int, int], zoom: float
) -> None:
    """It is said in per cent, in three digits or as a whole number, at every zoom."""
    view = _view(size, area).zoomed(zoom)
    text = view.percent.removesuffix(" %")
    assert set(text) <= set("0123456789."), text
    assert math.isclose(float(text), 100 * view.scale, rel_tol=0.006)
