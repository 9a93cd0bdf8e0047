"""The report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import DESK, PHONE, Browser, luminance, needs_chromium

from drht_plugin.evaluation.datasets import Item, LazyItem
from drht_plugin.evaluation.report import examples, page
from drht_plugin.evaluation.scores import SCORES, Row
from drht_plugin.evaluation.summary import summarise, tables

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def item(i: int) -> Item:
    """A blue input whose reference is gray; corrections of it are orange."""
    ldr = np.full((120, 200, 3), (20, 40, 200), np.uint8)
    return Item(f"<b>{i}</b>.png", {"kind": "x & y"}, ldr, np.full_like(ldr, 128))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every metric and three pictures."""
    metrics = tuple(SCORES)
    rows = [
        Row(item(i).name, method, {"kind": "x & y"}, dict.fromkeys(metrics, 10.0 + i))
        for i in range(3)
        for method in ("drht", "identity")
    ]
    items = [LazyItem(item(i).name, lambda i=i: item(i)) for i in range(3)]  # type: ignore[misc]
    orange = np.full((120, 200, 3), (1.0, 0.5, 0.0), np.float32)
    pictures = examples(rows, items, "drht", lambda _: orange)
    shown = tables(summarise(rows), ("drht", "identity"), metrics)
    head = {"drht_plugin": "0", "model": "m", "source": {"pairs": "a <i> b"}}
    file = tmp_path_factory.mktemp("report") / "index.html"
    file.write_text(page(head, shown, pictures, {"bad.png": "bad.png: is empty"}))
    return file


def slider(browser: Browser) -> dict[str, Any]:
    """What the focused slider is, and where its picture is divided."""
    state: dict[str, Any] = browser.run(
        """(() => {
            const range = document.activeElement, stage = range.parentElement;
            const style = getComputedStyle(stage);
            return {
                text: range.getAttribute('aria-valuetext'),
                value: Number(range.value),
                clip: getComputedStyle(stage.querySelector('.after')).clipPath,
                outline: style.outlineStyle + style.outlineWidth,
            };
        })()"""
    )
    return state


def focus_first_slider(browser: Browser) -> None:
    """By the Tab key alone."""
    for _ in range(20):
        browser.press("Tab", 9)
        if browser.run("document.activeElement.matches('.stage input')"):
            return
    raise AssertionError("no slider is reached by Tab")


def test_slider_by_keyboard(browser: Browser, report: Path) -> None:
    """Tab reaches a labelled slider with a visible focus, arrows and ends move the division."""
    browser.open(report)
    focus_first_slider(browser)
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    sliders = [n["name"]["value"] for n in nodes if n["role"]["value"] == "slider"]
    names = [f"Input on the left, corrected on the right: <b>{i}</b>.png" for i in (2, 1, 0)]
    assert sliders == names
    start = slider(browser)
    assert start["outline"] == "solid3px"
    assert (start["value"], start["clip"]) == (50, "inset(0px 0px 0px 50%)")
    browser.press("ArrowRight", 39)
    right = slider(browser)
    assert (right["value"], right["clip"]) == (51, "inset(0px 0px 0px 51%)")
    assert right["text"] == "51 % input, 49 % corrected"
    for _ in range(2):
        browser.press("ArrowLeft", 37)
    assert slider(browser)["value"] == 49
    browser.press("Home", 36)
    assert slider(browser)["clip"] == "inset(0px 0px 0px 0%)"


def middle_colours(browser: Browser) -> list[list[int]]:
    """Colours a quarter and three quarters across the first picture, as seen."""
    import cv2

    box = browser.run(
        """(() => {
            const stage = document.querySelector('.stage');
            stage.scrollIntoView();
            const {x, y, width, height} = stage.getBoundingClientRect();
            return [x, y, width, height];
        })()"""
    )
    x, y, width, height = box
    pixels = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    row = int(y + height / 4)
    return [pixels[row, int(x + width * share)][::-1].tolist() for share in (0.25, 0.75)]


def test_slider_divides_the_picture(browser: Browser, report: Path) -> None:
    """Left of the line the input is seen, right of it the correction, on a phone as well."""
    for width in (DESK, PHONE):
        browser.open(report, width=width)
        left, right = middle_colours(browser)
        assert left == pytest.approx([20, 40, 200], abs=6)
        assert right == pytest.approx([255, 128, 0], abs=6)


def test_light_and_dark(browser: Browser, report: Path) -> None:
    """The page follows the reader's colour scheme, with text of at least 4.5:1 in both."""
    papers = []
    for scheme in ("light", "dark"):
        browser.open(report, scheme=scheme)
        colours = browser.run(
            """[getComputedStyle(document.body).backgroundColor,
                ...[...document.querySelectorAll('body, .soft, td small, figcaption')].map(
                    e => getComputedStyle(e).color)]"""
        )
        paper, *inks = [luminance(c) for c in colours]
        papers.append(paper)
        for ink in inks:
            light, dark = max(paper, ink), min(paper, ink)
            assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert papers[0] > 0.8 > 0.1 > papers[1]


def test_fits_a_phone(browser: Browser, report: Path) -> None:
    """At 360 pixels the page does not scroll sideways; a wide table scrolls in its own box."""
    browser.open(report, width=PHONE)
    assert browser.run("document.documentElement.scrollWidth") <= PHONE
    wide = browser.run(
        "[...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth)"
    )
    assert wide
    boxes = "[...document.querySelectorAll('.scroll')]"
    assert browser.run(f"{boxes}.every(e => e.tabIndex === 0 && e.getAttribute('aria-label'))")


def test_needs_no_network(browser: Browser, report: Path) -> None:
    """Nothing but the file and what is in it is asked for, and every picture is seen."""
    browser.open(report)
    asked = {
        e["params"]["request"]["url"].split(":")[0]
        for e in browser.events
        if e.get("method") == "Network.requestWillBeSent"
    }
    assert "file" in asked
    assert asked <= {"file", "data"}
    assert browser.run("[...document.images].every(i => i.complete && i.naturalWidth === 200)")
    assert browser.run("document.images.length") == 9


def test_says_what_was_measured(browser: Browser, report: Path) -> None:
    """Tables, ranks, failures and parameters are text, with names as they are, not as markup."""
    browser.open(report)
    text = browser.run("document.body.textContent")
    assert "Best of drht: <b>2</b>.png" in text
    assert "Worst of drht: <b>0</b>.png" in text
    assert "bad.png: is empty" in text
    assert "kind = x & y" in text
    assert "a <i> b" in text
    cells = browser.run("[...document.querySelectorAll('tbody tr')].map(r => r.cells[0].scope)")
    assert set(cells) == {"row"}
