"""Twelve pictures with much white in them, drawn as they are exposed right.

python tests/high_key.py FOLDER      writes them as PNG files, to be looked at
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]
Picture = npt.NDArray[Any]
Colour = tuple[int, int, int]

_WORDS = (
    "The quick brown fox jumps over the lazy dog,",
    "packs my box with five dozen liquor jugs and",
    "waits for 47 more; total 12.50, to be paid by",
    "the end of the month, as was agreed in March.",
)


def rgb(*channels: float) -> Picture:
    """A colour, in codes."""
    return np.array(channels, np.float32)


def paper(height: int, width: int, level: float = 255) -> Picture:
    """A sheet of one code."""
    return np.full((height, width, 3), level, np.float32)


def noisy(picture: Picture, deviation: float, seed: int) -> Picture:
    """The picture with grain, in codes."""
    grain = np.random.default_rng(seed).normal(0, deviation, picture.shape)
    return picture + grain.astype(np.float32)


def say(picture: Picture, text: str, at: tuple[int, int], ink: Colour, size: float = 0.5) -> None:
    """A line of text whose first letter stands at column and row `at`."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    thick = 1 + (size > 1)
    cv2.putText(mask, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, thick, cv2.LINE_AA)
    share = mask[..., None] / np.float32(255)
    picture[:] = picture * (1 - share) + share * rgb(*ink)


def write(picture: Picture, top: int, bottom: int, left: int, ink: Colour = (20, 20, 20)) -> None:
    """Lines of text between two rows."""
    for i, row in enumerate(range(top, bottom, 24)):
        say(picture, _WORDS[i % len(_WORDS)], (left, row), ink, 0.55)


def landscape(height: int, width: int, seed: int) -> Picture:
    """A photograph of middle tones: sky, hills, a field, and texture."""
    rows, columns = np.indices((height, width), np.float32)
    picture = np.empty((height, width, 3), np.float32)
    sky = rows[..., None] / height
    picture[:] = (1 - sky) * rgb(110, 150, 200) + sky * rgb(190, 200, 205)
    for i, colour in enumerate(([96, 112, 118], [84, 102, 70], [128, 124, 72])):
        line = height * (0.45 + 0.17 * i) + height * 0.06 * np.sin(columns / (31 - 6 * i) + 2 * i)
        picture[rows > line] = colour
    soft = cv2.GaussianBlur(noisy(np.zeros_like(picture), 60, seed), (0, 0), 1.5)
    return cv2.GaussianBlur(picture + soft, (0, 0), 0.7)


def ball(picture: Picture, x: int, y: int, radius: int, colour: Colour) -> None:
    """A lit ball with a soft shadow below it."""
    rows, columns = np.indices(picture.shape[:2], np.float32)
    shadow = np.exp(
        -(((columns - x) / (1.3 * radius)) ** 2) - ((rows - y - radius) / (0.25 * radius)) ** 2
    )
    picture *= 1 - 0.5 * shadow[..., None]
    across, down = (columns - x) / radius, (rows - y) / radius
    inside = across**2 + down**2
    front = np.sqrt(np.clip(1 - inside, 0, None))
    facing: Picture = np.asarray(-0.4 * across - 0.5 * down + 0.77 * front)
    light: Picture = 0.25 + 0.75 * facing.clip(0, 1)
    spot: Picture = np.asarray(1 - ((across + 0.35) ** 2 + (down + 0.4) ** 2) / 0.06)
    shine: Picture = 60 * spot.clip(0, 1)
    share = np.clip((1 - np.sqrt(inside)) * radius + 0.5, 0, 1)[..., None]
    picture[:] = picture * (1 - share) + share * (
        light[..., None] * rgb(*colour) + shine[..., None]
    )


def box(picture: Picture, at: tuple[int, int, int, int], colour: Colour) -> None:
    """A filled rectangle: top, bottom, left, right."""
    top, bottom, left, right = at
    picture[top:bottom, left:right] = colour


def text_page() -> Picture:
    """Black text on white."""
    page = paper(880, 640)
    write(page, 80, 820, 60)
    return page


def page_with_picture() -> Picture:
    """Text, and a photograph across the page."""
    page = text_page()
    page[280:560, 90:550] = landscape(280, 460, 1)
    return page


def page_with_pictures() -> Picture:
    """A leaflet: a heading on colour, two photographs, text between."""
    page = paper(700, 900)
    box(page, (0, 90, 0, 900), (40, 80, 140))
    say(page, "Spring tours", (60, 62), (255, 255, 255), 1.5)
    page[150:360, 50:350] = landscape(210, 300, 2)
    page[410:620, 550:850] = landscape(210, 300, 3)[:, ::-1]
    write(page, 170, 360, 400)
    write(page, 430, 620, 50)
    return page


def product_on_white() -> Picture:
    """A red ball on white, its shadow below."""
    picture = paper(600, 800, 253)
    ball(picture, 400, 310, 130, (196, 60, 44))
    return noisy(picture, 0.6, 4)


def products_on_white() -> Picture:
    """A dark, a light and a coloured thing on white."""
    picture = paper(600, 800, 254)
    ball(picture, 170, 330, 90, (54, 58, 66))
    ball(picture, 400, 330, 110, (222, 216, 206))
    ball(picture, 640, 330, 90, (60, 130, 90))
    return picture


def product_on_grey() -> Picture:
    """A camera-like thing on a light grey that falls off."""
    rows = np.linspace(226, 190, 600, dtype=np.float32)[:, None, None]
    picture = paper(600, 800) / 255 * rows
    box(picture, (220, 430, 250, 560), (52, 52, 56))
    box(picture, (190, 220, 330, 430), (70, 70, 74))
    ball(picture, 405, 330, 85, (96, 100, 112))
    return noisy(picture, 1.0, 5)


def product_on_light_grey() -> Picture:
    """Two coloured boxes on a grey near to white."""
    picture = paper(640, 640, 238)
    box(picture, (250, 500, 140, 330), (204, 150, 60))
    box(picture, (180, 500, 350, 500), (70, 110, 170))
    box(picture, (500, 512, 130, 515), (200, 200, 200))
    return noisy(cv2.GaussianBlur(picture, (0, 0), 0.8), 0.8, 6)


def snow() -> Picture:
    """A field of snow under a light sky: bluish shadows, a row of trees."""
    rows, columns = np.indices((600, 900), np.float32)
    picture = paper(600, 900)
    depth = np.clip((rows - 220) / 380, 0, 1)[..., None]
    picture[:] = np.where(
        rows[..., None] < 220,
        rgb(206, 222, 236) + 0.05 * rows[..., None],
        rgb(238, 242, 247) - 6 * depth,
    )
    drift = np.sin(columns / 70 + rows / 45) + np.sin(columns / 33 - rows / 60)
    picture -= (np.clip(drift, 0, 2) * (rows > 240))[..., None] * rgb(17, 13, 8)
    for x in range(30, 900, 47):
        tall = 40 + 17 * (x % 5)
        crown = np.abs(columns - x) < 0.28 * np.clip(rows - 225 + tall, 0, None)
        picture[crown & (rows < 228)] = (70, 82, 74)
    return noisy(cv2.GaussianBlur(picture, (0, 0), 1.0), 1.5, 7)


def white_wall() -> Picture:
    """A painted wall in soft light, with a small picture and a switch."""
    rows, columns = np.indices((600, 800), np.float32)
    light = 246 - 16 * ((columns - 250) / 800) ** 2 - 18 * ((rows - 200) / 600) ** 2
    picture = light[..., None] * rgb(1.0, 0.995, 0.98)
    box(picture, (180, 340, 470, 670), (110, 82, 56))
    picture[192:328, 482:658] = landscape(136, 176, 8)
    box(picture, (380, 420, 200, 240), (226, 226, 222))
    return noisy(cv2.GaussianBlur(picture, (0, 0), 0.8), 1.2, 9)


def scan() -> Picture:
    """A printed sheet as a scanner sees it: paper that is not quite white, grain, a soft fold."""
    page = paper(880, 640, 247) * rgb(1.0, 0.99, 0.965)
    write(page, 80, 820, 60, (46, 44, 48))
    page[500:760, 100:540] = landscape(260, 440, 10)
    fold = 9 * np.exp(-(((np.arange(880, dtype=np.float32) - 440) / 10) ** 2))
    return noisy(cv2.GaussianBlur(page, (0, 0), 0.7) - fold[:, None, None], 2.0, 11)


def screenshot() -> Picture:
    """A window with a bar, a list, a text field and a button."""
    screen = paper(600, 960, 250)
    box(screen, (0, 40, 0, 960), (60, 64, 72))
    box(screen, (40, 600, 0, 220), (236, 238, 241))
    box(screen, (40, 600, 220, 221), (205, 208, 212))
    for i, y in enumerate(range(70, 400, 44)):
        if i == 2:
            box(screen, (y - 22, y + 16, 0, 220), (208, 224, 246))
        say(screen, f"Folder {i + 1}", (28, y), (60, 60, 60))
    box(screen, (70, 500, 250, 930), (255, 255, 255))
    write(screen, 110, 480, 280, (34, 34, 34))
    box(screen, (530, 566, 800, 930), (36, 110, 210))
    return screen


def chart() -> Picture:
    """Bars and a line on white, with axes."""
    picture = paper(600, 800)
    colours = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40))
    for i, tall in enumerate((140, 310, 220, 380, 260, 330, 180, 290)):
        box(picture, (520 - tall, 520, 110 + 80 * i, 160 + 80 * i), colours[i % 4])
    heights = [470 - 37 * ((3 * i) % 8) for i in range(8)]
    for x in range(135, 695):
        i, part = divmod(x - 135, 80)
        y = round(heights[i] + part / 80 * (heights[i + 1] - heights[i]))
        box(picture, (y - 1, y + 2, x, x + 2), (90, 60, 130))
    for y in range(120, 521, 80):
        box(picture, (y, y + 1, 90, 760), (200, 200, 200))
        say(picture, f"{520 - y}", (40, y + 5), (40, 40, 40))
    return picture


DRAWN: dict[str, Callable[[], Picture]] = {
    draw.__name__: draw
    for draw in (
        text_page,
        page_with_picture,
        page_with_pictures,
        product_on_white,
        products_on_white,
        product_on_grey,
        product_on_light_grey,
        snow,
        white_wall,
        scan,
        screenshot,
        chart,
    )
}


def drawn(name: str) -> Codes:
    """The picture of this name, H×W×3."""
    return np.rint(DRAWN[name]().clip(0, 255)).astype(np.uint8)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for each in DRAWN:
        cv2.imwrite(str(target / f"{each}.png"), drawn(each)[..., ::-1])
