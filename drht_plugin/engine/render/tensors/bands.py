"""Bands on devices: stored codes go up, pixels are computed there, and codes come back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from drht_plugin.engine.bands import Finish, Watch
from drht_plugin.engine.kernels import tensor_kernels
from drht_plugin.engine.pixels import as_channels, require_finite
from drht_plugin.engine.render.tensors.device import DeviceScene, download, upload
from drht_plugin.engine.render.tensors.network import Residual
from drht_plugin.engine.render.tensors.windows import NetworkWindows, guided_window, radiance_window
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import FULL, Strength
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.errors import DrhtWarning
from drht_plugin.geometry import Region, Window
from drht_plugin.model.device import device_errors

Image = npt.NDArray[Any]

_AHEAD = 2
"""Bands that the device works on while the host reads and writes others."""


class _InParts:
    """Begins to render rows, in as many parts as the device's memory requires.

    Where there is no memory for some rows, fewer are rendered at once from then on, and a
    `DrhtWarning` says so; the result stays the same.

    Args:
        begin: Begins to render rows first..last−1 of some pixels whose first row is `top`.
        most: Rows that are rendered at once.
        device: Where they are rendered.
    """

    def __init__(
        self, begin: Callable[[Image, int, int, int], Finish], most: int, device: torch.device
    ) -> None:
        self._begin, self._most = begin, most
        self._kernels = tensor_kernels(device)

    def __call__(self, pixels: Image, top: int, band: slice) -> Finish:
        """Begin to render a band, without NaN or infinity; see `bands.BandRenderer`."""
        source = as_channels(pixels)
        require_finite(source, top, kernels=self._kernels)
        parts = self._parts(source, top, band.start, band.stop)

        def finish(out: Image) -> None:
            for first, last, finish_part in parts:
                finish_part(out[first - band.start : last - band.start])

        return finish

    def _parts(
        self, source: Image, top: int, first: int, last: int
    ) -> list[tuple[int, int, Finish]]:
        if last - first <= self._most:
            try:
                return [(first, last, self._begin(source, top, first, last))]
            except torch.OutOfMemoryError as error:
                self._halve(last - first, error)
        middle = (first + last + 1) // 2
        above = self._parts(source, top, first, middle)
        return above + self._parts(source, top, middle, last)

    def _halve(self, rows: int, error: Exception) -> None:
        if rows == 1:
            raise error
        self._most = min(self._most, (rows + 1) // 2)
        warnings.warn(
            f"no memory on the device for {rows} rows at once ({error}); going on with "
            f"{self._most}",
            DrhtWarning,
            stacklevel=2,
        )


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
        self._parts = _InParts(self._begin, scene.spec.height, device)

    def begin(self, pixels: Image, top: int, band: slice, watch: Watch | None = None) -> Finish:
        """Start on the rows `band` of the result; see `bands.BandRenderer`."""
        return self._parts(pixels, top, band)

    def _begin(self, source: Image, top: int, first: int, last: int) -> Finish:
        window = Region(first, 0, last - first, source.shape[1])
        if self._network is None:
            # Guided detail needs no rows around it.
            source, top = source[first - top : last - top], first
        given = Region(top, 0, *source.shape[:2])
        with torch.inference_mode():
            stored = upload(source, self._tables.device)
            render = self._network or guided_window
            return download(render(self._tables, stored, given, window, self._strength))


class BandsInTurn:
    """Renders bands on several devices in turn; a `bands.BandRenderer`.

    Args:
        renderers: One for each device, of one image.
    """

    def __init__(self, renderers: Sequence[TensorBands | TensorRadianceBands]) -> None:
        self.row_shape, self.dtype = renderers[0].row_shape, renderers[0].dtype
        self.ahead = sum(each.ahead for each in renderers)
        self._turns = cycle(renderers)

    def begin(self, pixels: Image, top: int, band: slice, watch: Watch | None = None) -> Finish:
        """Start on the rows `band` of the result; see `bands.BandRenderer`."""
        return next(self._turns).begin(pixels, top, band, watch)


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
        self._parts = _InParts(self._begin, scene.spec.height, device)

    def begin(self, pixels: Image, top: int, band: slice, watch: Watch | None = None) -> Finish:
        """Start on the rows `band` of the result; see `bands.BandRenderer`."""
        return self._parts(pixels, top, band)

    def _begin(self, source: Image, top: int, first: int, last: int) -> Finish:
        window = Region(first, 0, last - first, source.shape[1])
        with torch.inference_mode():
            stored = upload(source[first - top : last - top], self._tables.device)
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
        self._network = None if residual is None else NetworkWindows(residual, tile)
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
        with torch.inference_mode(), device_errors():
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


def render_radiance_window(
    scene: Scene, grid: ToneGrid, pixels: Image, at: Window, device: torch.device
) -> Image:
    """Estimate the HDR of a window on a device: R×C×n float32.

    Args:
        scene: The survey of the whole image.
        grid: See `survey.fit_grid.radiance_grid`.
        pixels: The window's pixels, R×C×K.
        at: Where they lie in the stored image.
        device: Where the pixels are computed.
    """
    source = as_channels(pixels)
    require_finite(source, at.top, left=at.left, kernels=tensor_kernels(device))
    out = np.empty((*source.shape[:2], scene.spec.colours), np.float32)
    with torch.inference_mode(), device_errors():
        stored = upload(source, device)
        window = Region(at.top, at.left, *source.shape[:2])
        download(radiance_window(DeviceScene(scene, device, grid), stored, window))(out)
    return out
