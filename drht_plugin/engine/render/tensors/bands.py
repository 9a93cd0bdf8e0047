"""Bands on a device: stored codes go up, pixels are computed there, and codes come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from drht_plugin.engine.bands import Finish
from drht_plugin.engine.kernels import tensor_kernels
from drht_plugin.engine.pixels import as_channels, require_finite
from drht_plugin.engine.render.tensors.device import DeviceScene, download, upload
from drht_plugin.engine.render.tensors.network import Residual
from drht_plugin.engine.render.tensors.windows import NetworkWindows, guided_window, radiance_window
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import FULL, Strength
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.geometry import Region

Image = npt.NDArray[Any]

_AHEAD = 2
"""Bands that the device works on while the host reads and writes others."""


class TensorBands:
    """Renders bands of the corrected image on a device; a `bands.BandRenderer`.

    Args:
        scene: The survey of the whole image.
        strength: How much of the correction is applied.
        row_shape: Shape of one row of the image, W or W×K.
        device: Where the pixels are rendered.
        network: Renders network detail; None for guided detail. It serves one pass over the image.
    """

    ahead: int = _AHEAD

    def __init__(
        self,
        scene: Scene,
        strength: Strength,
        row_shape: tuple[int, ...],
        device: torch.device,
        network: NetworkWindows | None = None,
    ) -> None:
        self.row_shape, self.dtype = row_shape, scene.spec.dtype
        self._tables = DeviceScene(scene, device)
        self._strength, self._network = strength, network
        self._kernels = tensor_kernels(device)

    def begin(self, pixels: Image, top: int, band: slice) -> Finish:
        """Start on the rows `band` of the result; see `bands.BandRenderer`."""
        source = as_channels(pixels)
        require_finite(source, top, kernels=self._kernels)
        given = Region(top, 0, *source.shape[:2])
        window = Region(band.start, 0, band.stop - band.start, source.shape[1])
        with torch.inference_mode():
            stored = upload(source, self._tables.device)
            render = self._network or guided_window
            return download(render(self._tables, stored, given, window, self._strength))


class TensorRadianceBands:
    """Renders bands of the HDR estimate on a device, float32 rows W×channels.

    Args:
        scene: The survey of the whole image.
        grid: See `survey.fit_grid.radiance_grid`.
        device: Where the pixels are rendered.
        channels: 3, or 1 for a gray image; gray is repeated where there are three.
    """

    ahead: int = _AHEAD

    def __init__(
        self, scene: Scene, grid: ToneGrid, device: torch.device, channels: int = 3
    ) -> None:
        self.row_shape, self.dtype = (scene.spec.width, channels), np.dtype(np.float32)
        self._tables = DeviceScene(scene, device, grid)
        self._kernels = tensor_kernels(device)

    def begin(self, pixels: Image, top: int, band: slice) -> Finish:
        """Start on the rows `band` of the result; see `bands.BandRenderer`."""
        source = as_channels(pixels)
        require_finite(source, top, kernels=self._kernels)
        window = Region(top, 0, *source.shape[:2])
        with torch.inference_mode():
            stored = upload(source, self._tables.device)
            radiance = radiance_window(self._tables, stored, window)
            return download(radiance.expand(-1, -1, self.row_shape[1]))


class TensorWindows:
    """Renderer of windows on a device; a `bands.WindowRenderer`.

    Args:
        device: Where the pixels are rendered.
        residual: The detail network; None for guided detail.
        tile: Side of the largest square of pixels that the network is given.
    """

    def __init__(self, device: torch.device, residual: Residual | None, tile: int) -> None:
        self._device = device
        self._network = None if residual is None else NetworkWindows(residual, tile, keep=False)
        self._kernels = tensor_kernels(device)
        self._known: tuple[Scene, DeviceScene] | None = None

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
        source = as_channels(pixels)
        require_finite(source, given.top, left=given.left, kernels=self._kernels)
        tables = self._tables(scene)
        out = np.empty((window.height, window.width, *pixels.shape[2:]), pixels.dtype)
        with torch.inference_mode():
            stored = upload(source, self._device)
            render = self._network or guided_window
            download(render(tables, stored, given, window, strength))(out)
        return out

    def _tables(self, scene: Scene) -> DeviceScene:
        """Return the scene's tables; those of the last scene are kept."""
        known = self._known
        if known is None or known[0] is not scene:
            known = self._known = scene, DeviceScene(scene, self._device)
        return known[1]
