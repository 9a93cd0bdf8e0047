"""Synthetic pages and plain backgrounds that a photograph is placed on.

Panoramas and photographs rarely contain them, and networks that have never seen one mistake white
paper for a clipped sky.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_PRINT_ROWS, _PRINT_COLUMNS = 48, 40
"""Rows and columns of random cells from which lines of print are drawn."""


def draw_page(seed: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Draw a page and a mask for the photograph on it.

    Pages are mostly white, sometimes grey or dark, evenly lit or shaded to one side. Some have
    print, or flat panels like those on a screen.

    Args:
        seed: seed of the drawing.
        height: height in pixels.
        width: width in pixels.

    Returns:
        The page, 3×height×width linear light in 0..1, and the mask, 1×height×width in 0..1, which
        is 1 where the photograph shows and has soft or sharp edges.
    """
    random = np.random.default_rng(seed)
    y = torch.linspace(0, 1, height).view(height, 1)
    x = torch.linspace(0, 1, width).view(1, width)
    mask = torch.zeros(height, width)
    for _ in range(int(random.integers(0, 3))):
        mask = torch.maximum(mask, _draw_inset(random, y, x))
    kind = random.random()
    level = random.uniform(0.8, 1) if kind < 0.75 else random.uniform(0.1, 0.8)
    if kind > 0.93:
        level = random.uniform(0.0, 0.05)
    tint = torch.tensor((1 + 0.03 * random.normal(size=3)).clip(0.9, 1.05), dtype=torch.float32)
    ground = (level * tint).view(3, 1, 1).expand(3, height, width)
    if random.random() < 0.5:
        away = (x - random.random()) ** 2 + (y - random.random()) ** 2
        ground = ground * (1 - random.uniform(0, 0.25) * away.clamp(0, 1))
    if random.random() < 0.3:
        ground = _add_panels(random, ground)
    if random.random() < 0.5:
        ink = _draw_print(random, y, x)
        paper_is_light = level > 0.2
        ground = ground * (1 - 0.9 * ink) if paper_is_light else ground + 0.6 * ink
    return ground.clamp(0, 1).contiguous(), mask[None]


def _draw_inset(random: np.random.Generator, y: Tensor, x: Tensor) -> Tensor:
    """Draw an ellipse or a rounded rectangle, 1 inside and 0 outside."""
    centre_x, centre_y = random.uniform(0.2, 0.8, 2)
    radius_x, radius_y = random.uniform(0.12, 0.42, 2)
    power = 2.0 if random.random() < 0.5 else 12.0
    across, down = ((x - centre_x) / radius_x).abs(), ((y - centre_y) / radius_y).abs()
    distance = (across**power + down**power) ** (1 / power)
    return ((1 - distance) * random.uniform(15, 80)).clamp(0, 1)


def _add_panels(random: np.random.Generator, ground: Tensor) -> Tensor:
    """Add some flat rectangles of random colours."""
    ground = ground.clone()
    height, width = ground.shape[1:]
    for _ in range(int(random.integers(1, 7))):
        top, left = int(random.integers(height)), int(random.integers(width))
        bottom = top + int(random.integers(4, max(5, height // 3)))
        right = left + int(random.integers(4, max(5, width // 2)))
        colour = torch.tensor(random.uniform(0, 1, 3) ** 2.2, dtype=torch.float32)
        ground[:, top:bottom, left:right] = colour.view(3, 1, 1)
    return ground


def _draw_print(random: np.random.Generator, y: Tensor, x: Tensor) -> Tensor:
    """Draw lines of print between margins, 1 where there is ink."""
    phase = (y / random.uniform(0.025, 0.06)) % 1
    cells = torch.from_numpy(random.random((1, 1, _PRINT_ROWS, _PRINT_COLUMNS)) > 0.35).float()
    runs = F.interpolate(cells, (y.shape[0], x.shape[1]), mode="nearest")[0, 0]
    line = ((phase > 0.35) & (phase < 0.7)).float()
    return line * runs * ((x > 0.1) & (x < 0.9)).float()
