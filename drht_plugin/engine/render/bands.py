"""Bands of rows of the corrected image in guided detail, and of the HDR estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.bands import Demand
from drht_plugin.engine.pixels import ImageSpec, as_channels
from drht_plugin.engine.render.guided import render, render_radiance
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.geometry import Window

Image = npt.NDArray[Any]


def guided_demand(spec: ImageSpec) -> Demand:
    """Return what `GuidedBands` asks for; known before the survey."""
    channels = spec.width * (spec.colours + (spec.alpha >= 0))
    row = channels * spec.dtype.itemsize
    # Half floats and linear light are worked on as float32 copies; where a panorama's columns
    # begin again, its parts are worked on as copies.
    wide = spec.dtype == np.float16 or spec.linear
    return Demand(0, 1, row, row, (20 * channels if wide else 2 * row))


def radiance_demand(spec: ImageSpec) -> Demand:
    """Return what `RadianceBands` asks for; known before the survey."""
    wide = 4 * 3 * spec.width
    return Demand(0, 1, guided_demand(spec).row_in, wide, 4 * wide)


@dataclass(frozen=True)
class GuidedBands:
    """Renders bands of the corrected image in guided detail; a `bands.BandRenderer`."""

    scene: Scene
    strength: Strength
    row_shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the result."""
        return self.scene.spec.dtype

    def __call__(self, pixels: Image, top: int, band: slice, out: Image) -> None:
        """Write the rows `band` of the result to `out`."""
        render(self.scene, pixels, Window(band.start), strength=self.strength, out=out)


@dataclass(frozen=True)
class RadianceBands:
    """Renders bands of the HDR estimate, float32 rows W×channels; a `bands.BandRenderer`.

    channels: 3, or 1 for a gray image; gray is repeated where there are three.
    """

    scene: Scene
    grid: ToneGrid
    channels: int = 3

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row of the result."""
        return self.scene.spec.width, self.channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the result."""
        return np.dtype(np.float32)

    def __call__(self, pixels: Image, top: int, band: slice, out: Image) -> None:
        """Write the rows `band` of the result to `out`."""
        radiance = render_radiance(self.scene, pixels, Window(band.start), grid=self.grid)
        out[...] = as_channels(radiance)
