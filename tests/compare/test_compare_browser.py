"""The page of `drht compare` in a real browser, from the disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from browser import DESK, PHONE, Browser, luminance, needs_chromium
from PIL import Image

from drht_plugin.compare import Pair, write_page
from drht_plugin.io import write_hdr

pytestmark = needs_chromium

WIDE = 3840
HEIGHT, WIDTH = 900, 1200
BLOCK = 60
BEFORE, AFTER = (40, 90, 200), (230, 140, 40)
LIGHT = 2.0
HOSTILE = "<img src=x onerror=document.title=1>‮.png"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def blocks(colour: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Blocks of a colour and of its half, so that each place is known and edges are sharp."""
    down, across = np.indices((HEIGHT, WIDTH)) // BLOCK
    dark = ((down * 7 + across * 5) % 3 == 0)[..., None]
    return np.where(dark, np.array(colour) // 2, np.array(colour)).astype(np.uint8)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs; the first has an estimate of light above white, of 0.5 in its left half."""
    folder = tmp_path_factory.mktemp("compare")
    before, after = folder / "before.png", folder / "after.png"
    Image.fromarray(blocks(BEFORE)).save(before)
    Image.fromarray(blocks(AFTER)).save(after)
    light = np.full((HEIGHT, WIDTH, 3), LIGHT, np.float32)
    light[:, : WIDTH // 2] = 0.5
    write_hdr(folder / "light.exr", light)
    pairs = [
        Pair("first.png", before, after, folder / "light.exr"),
        Pair(HOSTILE, after, before),
        Pair("a very long name of a picture that no phone can show as a whole.png", before, after),
    ]
    return write_page(pairs, folder / "page").index


def settle(browser: Browser) -> None:
    """Wait until all tiles are there and nothing moves."""
    deadline = time.monotonic() + 30
    script = (
        "[document.getElementById('stage').getAttribute('aria-busy'), "
        "document.getElementById('zoom').textContent].join()"
    )
    last, same = "", 0
    while same < 5:
        assert time.monotonic() < deadline, "the page does not come to rest"
        now = browser.run(script)
        same = same + 1 if now == last and now.startswith("false") else 0
        last = now
        time.sleep(0.1)


def opened(browser: Browser, page: Path, **how: Any) -> None:
    browser.send("Page.navigate", url="about:blank")  # a new fragment alone would not load again
    browser.open(page, **how)
    settle(browser)


def pixels(browser: Browser) -> npt.NDArray[np.uint8]:
    import cv2

    found = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found[..., ::-1].astype(np.uint8)


def box(browser: Browser, selector: str) -> tuple[int, int, int, int]:
    """Left, top, width and height of an element on the screen."""
    found = browser.run(
        f"(e => [e.x, e.y, e.width, e.height])"
        f"(document.querySelector({selector!r}).getBoundingClientRect())"
    )
    left, top, width, height = (round(value) for value in found)
    return left, top, width, height


def click(browser: Browser, selector: str) -> None:
    browser.run(f"document.querySelector({selector!r}).click()")
    settle(browser)


def zoom(browser: Browser) -> float:
    """Zoom that the page tells, in per cent."""
    return float(browser.run("document.getElementById('zoom').textContent").split()[0])


def mouse(browser: Browser, kind: str, x: float, y: float, **more: Any) -> None:
    browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)


def drag(browser: Browser, start: tuple[float, float], end: tuple[float, float]) -> None:
    held: dict[str, Any] = {"button": "left", "buttons": 1, "clickCount": 1}
    mouse(browser, "mouseMoved", *start)
    mouse(browser, "mousePressed", *start, **held)
    for share in (0.25, 0.5, 0.75, 1):
        place = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
        mouse(browser, "mouseMoved", *place, button="left", buttons=1)
        time.sleep(0.03)
    time.sleep(0.3)  # or it would be a flick
    mouse(browser, "mouseReleased", *end, button="left", buttons=0, clickCount=1)
    settle(browser)


def touch(browser: Browser, *frames: list[tuple[float, float]]) -> None:
    """Move fingers over the screen, frame by frame."""
    for index, frame in enumerate(frames):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(frame)]
        kind = "touchStart" if index == 0 else "touchMove"
        browser.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        time.sleep(0.05)
    time.sleep(0.3)
    browser.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    settle(browser)


def in_step(browser: Browser) -> None:
    """Check that both sides show the same place: blocks of both have their edges alike."""
    left = box(browser, "#left")
    right = box(browser, "#right")
    shot = pixels(browser).astype(float)
    parts = []
    for (x, y, width, height), colour in ((left, BEFORE), (right, AFTER)):
        inner = shot[y + 4 : y + height - 50, x + 4 : x + width - 4]
        share = inner @ np.array(colour) / (np.array(colour, float) @ colour)
        parts.append(share)
    dark = [part < 0.75 for part in parts]
    assert 0.1 < dark[0].mean() < 0.9
    assert (dark[0] == dark[1]).mean() > 0.98


def test_needs_no_network(browser: Browser, page: Path) -> None:
    """The page asks for its own files alone, without an error, and may not ask for others."""
    opened(browser, page)
    click(browser, "[data-shown=hdr]")
    asked = {
        e["params"]["request"]["url"]
        for e in browser.events
        if e.get("method") == "Network.requestWillBeSent"
    }
    assert len(asked) > 10
    own = (page.parent.as_uri(), "data:")
    assert [url for url in asked if not url.startswith(own)] == []
    bad = ("Runtime.exceptionThrown", "Network.loadingFailed", "Runtime.consoleAPICalled")
    assert [e for e in browser.events if e.get("method") in bad] == []
    blocked = browser.run(
        """(() => {
            window.refused = [];
            addEventListener('securitypolicyviolation', e => refused.push(e.blockedURI));
            new Image().src = 'http://127.0.0.1:9/x.png';
            fetch('http://127.0.0.1:9/y').catch(() => {});
        })()"""
    )
    time.sleep(0.3)
    assert browser.run("refused.length") == 2, blocked


@pytest.mark.parametrize("width", [PHONE, DESK, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_slider_divides_the_picture(width: int, scheme: str, browser: Browser, page: Path) -> None:
    """Left of the line is the picture before, right of it the one after, on every screen."""
    opened(browser, page, width=width, height=2160 if width == WIDE else 740, scheme=scheme)
    left, top, across, down = box(browser, "#stage")
    shot = pixels(browser)
    row = shot[top + down // 2 + 40, left : left + across].astype(int)
    for share, colour in ((0.3, BEFORE), (0.7, AFTER)):
        seen = row[int(share * across) - 60 : int(share * across) + 60]
        bright = seen[seen.sum(1).argmax()]
        assert bright == pytest.approx(colour, abs=6)


def test_slider_by_keyboard(browser: Browser, page: Path) -> None:
    """Tab reaches the line, which is a named slider, and keys move it; focus is seen."""
    opened(browser, page)
    for _ in range(30):
        browser.press("Tab", 9)
        if browser.run("document.activeElement.id") == "divider":
            break
    value = "Number(document.activeElement.getAttribute('aria-valuenow'))"
    assert browser.run(value) == 50
    for key, code, expected in (
        ("ArrowRight", 39, 52),
        ("ArrowLeft", 37, 50),
        ("PageUp", 33, 60),
        ("Home", 36, 0),
        ("End", 35, 100),
    ):
        browser.press(key, code)
        assert browser.run(value) == expected
    said = browser.run("document.activeElement.getAttribute('aria-valuetext')")
    assert said == "100 % before, 0 % after"
    clip = browser.run("getComputedStyle(document.getElementById('right')).clipPath")
    assert clip == "inset(0px 0px 0px 100%)"
    outline = browser.run("getComputedStyle(document.activeElement, '::after').outlineStyle")
    assert outline == "solid"


def test_slider_by_mouse_and_touch(browser: Browser, page: Path) -> None:
    """The line follows the pointer and the finger, and the picture stays."""
    opened(browser, page)
    left, top, width, height = box(browser, "#stage")
    middle = top + height / 2
    before = zoom(browser)
    drag(browser, (left + width / 2, middle), (left + width / 4, middle))
    now = "Number(document.getElementById('divider').getAttribute('aria-valuenow'))"
    assert browser.run(now) == pytest.approx(25, abs=1)
    opened(browser, page, width=PHONE)
    left, top, width, height = box(browser, "#stage")
    places = [(left + width * share, top + height / 2) for share in (0.5, 0.6, 0.7, 0.8)]
    touch(browser, *[[place] for place in places])
    assert browser.run(now) == pytest.approx(80, abs=2)
    assert zoom(browser) < before


def test_sides_move_in_step(browser: Browser, page: Path) -> None:
    """The wheel, a drag, buttons and keys on either side move both, side by side and in a phone."""
    opened(browser, page)
    click(browser, "#tools [data-mode=sides]")
    in_step(browser)
    whole = zoom(browser)
    for side in ("#left", "#right"):
        left, top, width, height = box(browser, side)
        place = left + width / 2, top + height / 2
        mouse(browser, "mouseMoved", *place)
        mouse(browser, "mouseWheel", *place, deltaX=0, deltaY=-240)
        settle(browser)
        in_step(browser)
        drag(browser, place, (place[0] - 90, place[1] - 40))
        in_step(browser)
    assert zoom(browser) > 1.3 * whole
    click(browser, "#fit")
    assert zoom(browser) == pytest.approx(whole, rel=0.02)
    in_step(browser)


def test_keys(browser: Browser, page: Path) -> None:
    """With the focus on the picture, keys zoom, move, arrange, and turn the pages."""
    opened(browser, page)
    browser.run("document.getElementById('stage').focus()")
    whole = zoom(browser)
    browser.send("Input.dispatchKeyEvent", type="char", text="+")  # no key of its own
    for key, code in (("m", 77), ("+", 187), ("ArrowRight", 39), ("ArrowDown", 40)):
        browser.press(key, code)
        settle(browser)
        if browser.run("document.getElementById('stage').dataset.mode") == "sides":
            in_step(browser)
    assert zoom(browser) > whole * 0.7
    browser.press("1", 49)
    settle(browser)
    assert zoom(browser) == 100
    browser.press("h", 72)
    assert browser.run("document.querySelector('#right .tag').textContent") == "HDR estimate"
    browser.press("PageDown", 34)
    settle(browser)
    assert browser.run("document.getElementById('place').textContent") == "2 of 3"
    assert browser.run("document.querySelector('#right .tag').textContent") == "After"
    browser.run("document.getElementById('one').focus()")
    browser.press("PageDown", 34)  # elsewhere, keys are the browser's own
    assert browser.run("document.getElementById('place').textContent") == "2 of 3"


def test_fingers(browser: Browser, page: Path) -> None:
    """Two fingers zoom both sides, one moves them."""
    opened(browser, page, width=PHONE)
    click(browser, "#tools [data-mode=sides]")
    whole = zoom(browser)
    left, top, width, height = box(browser, "#right")
    x, y = left + width / 2, top + height / 2
    touch(browser, *[[(x - d, y), (x + d, y)] for d in (20, 30, 40, 50, 60)])
    assert zoom(browser) > 1.8 * whole
    in_step(browser)
    touch(browser, *[[(x - d, y - d / 2)] for d in (0, 15, 30, 45)])
    in_step(browser)


@pytest.mark.parametrize("density", [1, 2, 1.5])
def test_one_to_one(density: float, browser: Browser, page: Path) -> None:
    """At 1:1 a pixel of the picture is a pixel of the screen: edges of blocks stay sharp."""
    opened(browser, page, density=density)
    mouse(browser, "mouseMoved", 333, 217)
    mouse(browser, "mouseWheel", 333, 217, deltaX=0, deltaY=-120)  # to an odd place
    settle(browser)
    click(browser, "#one")
    assert zoom(browser) == 100
    left, top, width, height = (round(density * side) for side in box(browser, "#left"))
    within = slice(left, left + round(width / 2 - 30 * density))
    shot = pixels(browser)[top : top + height - round(60 * density), within].astype(int)
    jumps = np.abs(np.diff(shot.sum(2), axis=1)).max(0)
    [edges] = np.nonzero(jumps > 60)
    assert len(edges) >= 5
    assert set(np.diff(edges) % BLOCK) == {0}
    assert jumps[edges].min() > 5 * max(jumps[edges - 1].max(), jumps[edges + 1].max())


def test_colours_on_a_wide_screen(browser: Browser, tmp_path: Path) -> None:
    """Colours are those of the profile, and on a screen of Display P3 canvases have its gamut."""
    codes = np.full((256, 256, 3), (200, 120, 60), np.uint8)
    srgb, wide = tmp_path / "srgb.png", tmp_path / "wide.png"
    Image.fromarray(codes).save(srgb)
    Image.fromarray(codes).save(wide, icc_profile=made.profile("p3"))
    write_hdr(tmp_path / "light.exr", np.full((256, 256, 3), 0.5, np.float32))
    index = write_page([Pair("a", srgb, wide, tmp_path / "light.exr")], tmp_path / "page").index
    opened(browser, index)
    left, top, width, height = box(browser, "#stage")

    def ends() -> list[list[int]]:
        row = pixels(browser)[top + height // 4, left + width // 2 - 60 : left + width // 2 + 60]
        return [row[0].tolist(), row[-1].tolist()]

    before, after = ends()
    assert before == pytest.approx([200, 120, 60], abs=3)
    assert after == pytest.approx([213, 115, 43], abs=3)  # as Little CMS converts it
    click(browser, "[data-shown=hdr]")
    assert ends()[1] == pytest.approx([188] * 3, abs=1)
    space = "document.querySelector('canvas').getContext('2d').getContextAttributes().colorSpace"
    assert browser.run(space) == "srgb"
    # Without a GPU Chromium shows no wide canvas right, so that their pixels cannot be looked at.
    opened(browser, index, gamut="p3")
    assert browser.run(space) == "display-p3"


def test_exposure(browser: Browser, page: Path) -> None:
    """Light beyond white comes back at a lower exposure; the picture before is darkened alike."""
    opened(browser, page)
    click(browser, "[data-shown=hdr]")
    click(browser, "#tools [data-mode=sides]")
    left, top, width, height = box(browser, "#right")

    def seen() -> list[int]:
        row = pixels(browser)[top + height // 2]
        return [int(row[left + int(width * share)].mean()) for share in (0.25, 0.75)]

    assert seen() == pytest.approx([188, 255], abs=1)  # sRGB's codes of 0.5, and of white
    expose = """(() => { const range = document.getElementById('exposure'); range.value = %s;
        range.dispatchEvent(new Event('input')); })()"""
    browser.run(expose % -2)
    settle(browser)
    assert seen() == pytest.approx([99, 188], abs=1)  # of 0.125 and 0.5
    assert browser.run("document.getElementById('stops').textContent") == "−2 EV"
    x, y, across, down = box(browser, "#left")
    before = pixels(browser)[y + 4 : y + down - 60, x + 4 : x + across - 4].reshape(-1, 3)
    linear = (np.array(BEFORE) / 255 + 0.055) / 1.055
    quarter = 255 * (1.055 * (linear**2.4 / 4) ** (1 / 2.4) - 0.055)
    bright = before[before.astype(int).sum(1) == np.percentile(before.astype(int).sum(1), 60)]
    assert bright.mean(0) == pytest.approx(quarter, abs=8)
    click(browser, "#reset")
    assert seen() == pytest.approx([188, 255], abs=1)


def test_batch(browser: Browser, page: Path) -> None:
    """Thumbnails and arrows turn the pages, and the address keeps the place."""
    opened(browser, page, fragment="#3")
    assert browser.run("document.getElementById('place').textContent") == "3 of 3"
    assert browser.run("document.getElementById('next').disabled") is True
    browser.run("document.querySelector('#strip [aria-current]').focus()")
    browser.press("ArrowLeft", 37)
    settle(browser)
    assert browser.run("document.getElementById('name').textContent") == HOSTILE
    assert browser.run("document.title") == f"{HOSTILE}: before and after"
    assert browser.run("location.hash") == "#2"
    assert browser.run("document.querySelectorAll('#strip img').length") == 6
    whole = "[...document.querySelectorAll('#strip img')].every(i => i.naturalWidth > 100)"
    assert browser.run(whole)
    assert browser.run("document.getElementById('shown').hidden") is True
    click(browser, "#strip li:first-child button")
    assert browser.run("document.getElementById('place').textContent") == "1 of 3"


def test_a_low_screen(browser: Browser, page: Path) -> None:
    """On a phone on its side the page scrolls, and opens at its top, with most of it picture."""
    opened(browser, page, width=740, height=360, fragment="#3")
    assert browser.run("scrollY") == 0
    assert box(browser, "#stage")[3] >= 0.7 * 360
    assert browser.run("document.documentElement.scrollHeight") > 360
    assert browser.run("document.documentElement.scrollWidth") <= 740


CONTRAST = """(() => {
    const ground = e => {
        for (; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (!colour.endsWith(', 0)')) return colour;
        }
    };
    const shown = [...document.querySelectorAll('h1, button, summary, output, label, p, dt')]
        .filter(e => e.offsetParent && !e.disabled && !e.closest('#left, #right'));
    return shown.map(e => [e.textContent.trim(), getComputedStyle(e).color, ground(e),
        getComputedStyle(e).borderTopColor, ground(e.parentElement), e.matches('button, summary')]);
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str, browser: Browser, page: Path) -> None:
    """Text has 4.5:1 and the borders of buttons 3:1, in light and in dark (WCAG 1.4.3, 1.4.11)."""

    def ratio(one: str, other: str) -> float:
        dark, light = sorted((luminance(one), luminance(other)))
        return (light + 0.05) / (dark + 0.05)

    opened(browser, page, scheme=scheme)
    browser.run("document.querySelector('details').open = true")
    found = browser.run(CONTRAST)
    assert len(found) > 20
    for text, ink, paper, border, around, button in found:
        assert ratio(ink, paper) >= 4.5, text
        assert not button or ratio(border, around) >= 3, text
    papers = luminance(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert papers > 0.8 if scheme == "light" else papers < 0.1


@pytest.mark.parametrize("width", [PHONE, WIDE])
def test_fits_the_screen(width: int, browser: Browser, page: Path) -> None:
    """Nothing scrolls sideways, every control is whole on the screen, and large enough to touch."""
    height = 2160 if width == WIDE else 740
    opened(browser, page, width=width, height=height)
    assert browser.run("document.documentElement.scrollWidth") <= width
    controls = browser.run(
        """[...document.querySelectorAll('header button, #tools button, #tools input, #divider')]
            .filter(e => e.offsetParent).map(e => [e.id || e.textContent,
                ...['left', 'top', 'right', 'bottom'].map(s => e.getBoundingClientRect()[s])])"""
    )
    assert len(controls) >= 12
    for name, left, top, right, bottom in controls:
        assert left >= 0, name
        assert top >= 0, name
        assert right <= width, name
        assert bottom <= height, name
        assert min(right - left, bottom - top) >= 43.9, name
    assert box(browser, "#stage")[3] > 0.45 * height


def test_what_a_screen_reader_is_told(browser: Browser, page: Path) -> None:
    """Every control has a name and a role, and states whether it is pressed."""
    opened(browser, page)
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "application", "navigation", "status"}
    told = {
        (n["role"]["value"], n.get("name", {}).get("value", ""))
        for n in nodes
        if not n["ignored"] and n["role"]["value"] in roles
    }
    for role, name in (
        ("application", "first.png, before and after"),
        ("slider", "Line between before and after"),
        ("slider", "Exposure"),
        ("button", "Side by side"),
        ("button", "Zoom in"),
        ("button", "Next picture"),
        ("navigation", "Pictures"),
    ):
        assert (role, name) in told
    assert all(name for role, name in told if role != "status")
    pressed = "document.querySelector('[data-mode=sides][aria-pressed]').ariaPressed"
    assert browser.run(pressed) == "false"
    click(browser, "#tools [data-mode=sides]")
    assert browser.run(pressed) == "true"


def test_a_large_picture_loads_what_it_shows(browser: Browser, tmp_path: Path) -> None:
    """Of a pair of many tiles, only those of the size that fits the screen are loaded."""
    path = tmp_path / "a.jpg"
    pyvips.Image.black(9000, 7000).copy(interpretation="b-w").jpegsave(str(path))
    index = write_page([Pair("large", path, path)], tmp_path / "page").index
    tiles = list((tmp_path / "page" / "pictures").rglob("*.jpg"))
    assert len(tiles) > 500
    opened(browser, index)
    asked = [
        e["params"]["request"]["url"]
        for e in browser.events
        if e.get("method") == "Network.requestWillBeSent"
    ]
    assert 2 <= sum(url.endswith(".jpg") for url in asked) <= 60
    click(browser, "#one")
    assert zoom(browser) == 100
