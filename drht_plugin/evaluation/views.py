"""Views of HDR images, shot by the virtual camera with a fixed seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drht_plugin.errors import InputError
from drht_plugin.evaluation.datasets import Item, LazyItem
from drht_plugin.evaluation.hdr_folder import describe, raise_error, read_scenes, to_codes, to_image

if TYPE_CHECKING:
    from drht_plugin.training.triplets import ViewPlan
    from drht_plugin.virtual_camera import HdrImage

CLASSES = {"under": (-3.3, -1.2), "normal": (-0.6, 0.6), "over": (1.0, 3.2)}
"""Exposure classes: EV relative to the metered exposure."""

_SIDE = 320  # root of a view's area in pixels; a 1024-pixel panorama has no more detail
_ASPECTS = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (16, 9))
_UNKNOWN_FROM = 0.01  # share of clipped source pixels at which a pixel's radiance is unknown


@dataclass(frozen=True)
class Views:
    """Data set of views of the images of a folder.

    View i shows the readable image i mod n in exposure class i mod 3. The same seed gives the same
    views.

    Attributes:
        folder: folder of HDR images.
        seed: seed of views and noise.
        count: number of views.
    """

    folder: Path
    seed: int
    count: int

    def items(self) -> list[LazyItem]:
        """Return an item per view; an unreadable image is an additional item that fails.

        Raises:
            InputError: no HDR image can be read, or count is below 1.
        """
        from drht_plugin.training.triplets import Photographer

        if self.count < 1:
            raise InputError(f"count is {self.count}; expected at least 1")
        scenes, broken = read_scenes(self.folder)
        if not scenes:
            why = "; ".join(str(error) for error in broken.values())
            raise InputError(f"{self.folder}: no HDR image can be read: {why}")
        photographer = Photographer(scenes, self.seed)
        random = np.random.default_rng(self.seed)
        lazies = [LazyItem(name, partial(raise_error, error)) for name, error in broken.items()]
        for i in range(self.count):
            kind = list(CLASSES)[i % len(CLASSES)]
            shot = photographer.shot(float(random.uniform(*CLASSES[kind])))
            plan = replace(photographer.view(0, i % len(scenes)), shots=(shot,))
            size = _size(*_ASPECTS[int(random.integers(len(_ASPECTS)))])
            name = f"{i:03d}_{scenes[plan.scene].name}_{kind}"
            lazies.append(
                LazyItem(name, partial(_view, scenes, plan, size, name, kind, self.seed + i))
            )
        return lazies

    def describe(self) -> dict[str, Any]:
        """Return the folder's name, the seed, the count and a SHA-256 of the images."""
        return {**describe(self.folder), "seed": self.seed, "count": self.count}


def _size(across: int, down: int) -> tuple[int, int]:
    """Return height and width of a view with an aspect ratio, as multiples of 8 pixels."""
    scale = _SIDE / math.sqrt(across * down)
    return 8 * round(down * scale / 8), 8 * round(across * scale / 8)


def _view(
    scenes: list[HdrImage], plan: ViewPlan, size: tuple[int, int], name: str, kind: str, seed: int
) -> Item:
    import torch

    from drht_plugin.training.triplets import render_triplets

    triplet = render_triplets(scenes, [plan], *size, torch.Generator().manual_seed(seed))

    return Item(
        name=name,
        groups={"class": kind},
        ldr=to_codes(to_image(triplet.ldr)),
        reference=to_codes(to_image(triplet.true_ldr)),
        radiance=to_image(triplet.true_hdr),
        known=to_image(triplet.source_clipped)[..., 0] < _UNKNOWN_FROM,
    )
