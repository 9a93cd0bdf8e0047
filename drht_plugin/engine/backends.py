"""What computes each pixel: numba's kernels on the CPU, or tensors on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from drht_plugin.engine.bands import BandRenderer, Image, WindowRenderer
from drht_plugin.engine.kernels import SurveyKernels, numba_kernels, tensor_kernels
from drht_plugin.engine.render.guided import render_radiance
from drht_plugin.engine.render.guided_bands import GuidedBands, GuidedWindows, RadianceBands
from drht_plugin.engine.render.network.network_bands import NetworkBands
from drht_plugin.engine.render.network.windows import TILE, NetworkRenderer
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.survey.fit_grid import radiance_grid
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.geometry import Window

if TYPE_CHECKING:
    import torch

    from drht_plugin.model.detail_network import DetailRunner

    Networks = Sequence[DetailRunner]

BACKENDS = ("auto", "numba", "torch")


class Backend(Protocol):
    """Renderers and kernels that belong together."""

    @property
    def largest_tile(self) -> int:
        """Side of the largest tile of the detail network that pays, in pixels."""
        ...

    @property
    def is_cold(self) -> bool:
        """Whether kernels have to be compiled first, for some seconds."""
        ...

    def prepare(self, dtype: np.dtype[Any]) -> None:
        """Start on what takes long before the first pixel of a dtype is rendered."""
        ...

    @property
    def kernels(self) -> SurveyKernels:
        """What a survey computes with."""
        ...

    def bands(
        self,
        scene: Scene,
        strength: Strength,
        row_shape: tuple[int, ...],
        networks: Networks,
        tile: int | None,
    ) -> BandRenderer:
        """Return a renderer of bands, for one pass over the image.

        Args:
            scene: The image's scene.
            strength: How much of the correction is applied.
            row_shape: Shape of one row of the image, W or W×K.
            networks: The detail network on each device; none for guided detail.
            tile: Side of the tiles that the network sees, in pixels.
        """
        ...

    def radiance(self, scene: Scene, channels: int) -> BandRenderer:
        """Return a renderer of bands of the HDR estimate, W×channels float32."""
        ...

    def windows(self, networks: Networks, tile: int) -> WindowRenderer:
        """Return a renderer of windows; arguments as of `bands`."""
        ...

    def radiance_window(self, scene: Scene, grid: ToneGrid, pixels: Image, at: Window) -> Image:
        """Return the HDR estimate of a window, R×C×K float32.

        Args:
            scene: The image's scene.
            grid: See `survey.fit_grid.radiance_grid`.
            pixels: The window's pixels, R×C×K.
            at: Where they lie in the stored image.
        """
        ...


def choose_backend(name: str, device: str) -> Backend:
    """Return the backend of a name; "auto" takes torch on an accelerator and numba elsewhere.

    Args:
        name: One of `BACKENDS`.
        device: As in `model.device.choose_devices`.

    Raises:
        InputError: An unknown device.
    """
    if name == "numba":
        return NumbaBackend()
    from drht_plugin.model.device import choose_devices

    devices = choose_devices(device)
    return TensorBackend(devices) if name == "torch" or devices[0].type != "cpu" else NumbaBackend()


class NumbaBackend:
    """Numba's kernels on the CPU; see `Backend`."""

    largest_tile = TILE

    @property
    def is_cold(self) -> bool:
        """See `Backend`."""
        from drht_plugin.bridge.jit import is_cold

        return is_cold()

    def prepare(self, dtype: np.dtype[Any]) -> None:
        """Compile in a second process where nothing has been compiled yet."""
        if self.is_cold:
            from drht_plugin.bridge.ahead import compile_ahead

            compile_ahead(np.float32 if dtype.kind == "f" else dtype)

    @property
    def kernels(self) -> SurveyKernels:
        """See `Backend`."""
        return numba_kernels()

    def bands(
        self,
        scene: Scene,
        strength: Strength,
        row_shape: tuple[int, ...],
        networks: Networks,
        tile: int | None,
    ) -> BandRenderer:
        """See `Backend`."""
        if not networks:
            return GuidedBands(scene, strength, row_shape)
        return NetworkBands(scene, strength, row_shape, NetworkRenderer(networks[0], tile))

    def radiance(self, scene: Scene, channels: int) -> BandRenderer:
        """See `Backend`."""
        return RadianceBands(scene, radiance_grid(scene), channels)

    def windows(self, networks: Networks, tile: int) -> WindowRenderer:
        """See `Backend`."""
        return NetworkRenderer(networks[0], tile) if networks else GuidedWindows()

    def radiance_window(self, scene: Scene, grid: ToneGrid, pixels: Image, at: Window) -> Image:
        """See `Backend`."""
        return render_radiance(scene, pixels, at, grid=grid)


@dataclass(frozen=True)
class TensorBackend:
    """Tensor operations on devices, which take bands in turn; see `Backend`."""

    devices: tuple[torch.device, ...]
    is_cold = False

    @property
    def largest_tile(self) -> int:
        """See `Backend`: halos cost less of larger tiles, and an accelerator has the memory."""
        return TILE if self.devices[0].type == "cpu" else 2 * TILE

    def prepare(self, dtype: np.dtype[Any]) -> None:
        """See `Backend`; there is nothing to compile."""
        from drht_plugin.model.threads import require_device_after_fork

        for device in self.devices:
            require_device_after_fork(device)

    @property
    def kernels(self) -> SurveyKernels:
        """See `Backend`."""
        return tensor_kernels(self.devices[0])

    def bands(
        self,
        scene: Scene,
        strength: Strength,
        row_shape: tuple[int, ...],
        networks: Networks,
        tile: int | None,
    ) -> BandRenderer:
        """See `Backend`."""
        from drht_plugin.engine.render.tensors.bands import BandsInTurn, TensorBands
        from drht_plugin.engine.render.tensors.windows import NetworkWindows, Strips

        strips, side = Strips(len(self.devices)), TILE if tile is None else tile
        windows: list[NetworkWindows | None] = [
            NetworkWindows(network.residual, side, strips) for network in networks
        ] or [None] * len(self.devices)
        bands = [
            TensorBands(scene, strength, row_shape, device, window)
            for device, window in zip(self.devices, windows, strict=True)
        ]
        return bands[0] if len(bands) == 1 else BandsInTurn(bands)

    def radiance(self, scene: Scene, channels: int) -> BandRenderer:
        """See `Backend`."""
        from drht_plugin.engine.render.tensors.bands import BandsInTurn, TensorRadianceBands

        grid = radiance_grid(scene, self.kernels)
        bands = [TensorRadianceBands(scene, grid, device, channels) for device in self.devices]
        return bands[0] if len(bands) == 1 else BandsInTurn(bands)

    def windows(self, networks: Networks, tile: int) -> WindowRenderer:
        """See `Backend`."""
        from drht_plugin.engine.render.tensors.bands import TensorWindows

        residual = networks[0].residual if networks else None
        return TensorWindows(self.devices[0], residual, tile)

    def radiance_window(self, scene: Scene, grid: ToneGrid, pixels: Image, at: Window) -> Image:
        """See `Backend`."""
        from drht_plugin.engine.render.tensors.bands import render_radiance_window

        return render_radiance_window(scene, grid, pixels, at, self.devices[0])
