"""Render bands of rows: the corrected image in guided detail, and the HDR estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.bands import Demand, Finish, Watch
from drht_plugin.engine.pixels import ImageSpec, as_channels
from drht_plugin.engine.render.guided import render, render_radiance
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import FULL, Strength
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.geometry import Region, Window

Image = npt.NDArray[Any]


def guided_demand(spec: ImageSpec) -> Demand:
    """Return what `GuidedBands` needs, which is known before the survey.

    Args:
        spec: the stored image's spec.
    """
    channels = spec.width * (spec.colours + (spec.alpha >= 0))
    row = channels * spec.dtype.itemsize
    # Half floats and linear light need float32 copies. Otherwise a panorama needs copies of the
    # parts on both sides of its origin.
    wide = spec.dtype == np.float16 or spec.linear
    return Demand(0, 1, row, row, (20 * channels if wide else 2 * row))


def radiance_demand(spec: ImageSpec) -> Demand:
    """Return what `RadianceBands` needs, which is known before the survey.

    Args:
        spec: the stored image's spec.
    """
    wide = 4 * 3 * spec.width
    return Demand(0, 1, guided_demand(spec).row_in, wide, 4 * wide)


@dataclass(frozen=True)
class GuidedBands:
    """Renderer of bands of the corrected image in guided detail; a `bands.BandRenderer`.

    Attributes:
        scene: the image's scene.
        strength: how much of the correction is applied.
        row_shape: shape of one row of the image, W or W×C.
    """

    scene: Scene
    strength: Strength
    row_shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the result, the image's own."""
        return self.scene.spec.dtype

    ahead: ClassVar[int] = 0

    def begin(self, pixels: Image, top: int, band: slice, watch: Watch | None = None) -> Finish:
        """Render the rows `band` of the corrected image; see `BandRenderer`."""

        def finish(out: Image) -> None:
            render(self.scene, pixels, Window(band.start), strength=self.strength, out=out)

        return finish


@dataclass(frozen=True)
class RadianceBands:
    """Renderer of bands of the HDR estimate; a `bands.BandRenderer`.

    Attributes:
        scene: the image's scene.
        grid: grid of `survey.fit_grid.radiance_grid`.
        channels: 3, or 1 for a gray image; with 3, gray is repeated.
    """

    scene: Scene
    grid: ToneGrid
    channels: int = 3

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row of the result, W×channels."""
        return self.scene.spec.width, self.channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the result, float32."""
        return np.dtype(np.float32)

    ahead: ClassVar[int] = 0

    def begin(self, pixels: Image, top: int, band: slice, watch: Watch | None = None) -> Finish:
        """Render the rows `band` of the HDR estimate; see `BandRenderer`."""

        def finish(out: Image) -> None:
            radiance = render_radiance(self.scene, pixels, Window(band.start), grid=self.grid)
            out[...] = as_channels(radiance)

        return finish


class GuidedWindows:
    """Renderer of windows in guided detail; a `bands.WindowRenderer`."""

    def render(
        self,
        scene: Scene,
        pixels: Image,
        window: Region,
        *,
        given: Region,
        strength: Strength = FULL,
    ) -> Image:
        """Render one window; see `WindowRenderer`."""
        top, left = window.top - given.top, window.left - given.left
        own = pixels[top : top + window.height, left : left + window.width]
        return render(scene, own, Window(window.top, window.left), strength=strength)
