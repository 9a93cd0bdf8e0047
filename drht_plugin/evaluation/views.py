"""Views of a folder of HDR images, shot by the virtual camera with a fixed seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drht_plugin.errors import InputError
from drht_plugin.evaluation.datasets import Item, Lazy
from drht_plugin.evaluation.hdr_folder import describe, fail, planes, read_scenes, to_codes

if TYPE_CHECKING:
    from drht_plugin.training.triplets import ViewPlan
    from drht_plugin.virtual_camera import HdrImage

CLASSES = {"under": (-3.3, -1.2), "normal": (-0.6, 0.6), "over": (1.0, 3.2)}
"""Exposure classes: EV relative to the metered exposure."""

_SIDE = 320  # pixels, root of a view's area: what a 1024-pixel panorama can fill
_ASPECTS = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (16, 9))
_UNKNOWN_FROM = 0.01  # share of a view's pixel that comes from clipped source pixels


@dataclass(frozen=True)
class Views:
    """So many views of the images of a folder, scenes and exposure classes in turn.

    View i shows readable scene i mod n in class i mod 3; the same seed draws the same views. An
    image that cannot be read is an item of its own, which fails.
    """

    folder: Path
    seed: int
    count: int

    def items(self) -> list[Lazy]:
        """The views.

        Raises:
            InputError: no HDR images that can be read, or a count below 1.
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
        lazies = [Lazy(name, partial(fail, error)) for name, error in broken.items()]
        for i in range(self.count):
            kind = list(CLASSES)[i % len(CLASSES)]
            shot = photographer.shot(float(random.uniform(*CLASSES[kind])))
            plan = replace(photographer.view(0, i % len(scenes)), shots=(shot,))
            size = _size(*_ASPECTS[int(random.integers(len(_ASPECTS)))])
            name = f"{i:03d}_{scenes[plan.scene].name}_{kind}"
            lazies.append(Lazy(name, partial(_view, scenes, plan, size, name, kind, self.seed + i)))
        return lazies

    def describe(self) -> dict[str, Any]:
        """Folder name, seed, count, and a digest of the images."""
        return {**describe(self.folder), "seed": self.seed, "count": self.count}


def _size(across: int, down: int) -> tuple[int, int]:
    """Height and width of an aspect at the views' area, multiples of 8."""
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
        ldr=to_codes(planes(triplet.ldr)),
        reference=to_codes(planes(triplet.true_ldr)),
        radiance=planes(triplet.true_hdr),
        known=planes(triplet.source_clipped)[..., 0] < _UNKNOWN_FROM,
    )
