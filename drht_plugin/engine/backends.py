"""What computes each pixel: numba's kernels on the CPU, or tensors on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from drht_plugin.engine.bands import BandRenderer, WindowRenderer
from drht_plugin.engine.kernels import SurveyKernels, numba_kernels, tensor_kernels
from drht_plugin.engine.render.guided_bands import GuidedBands, GuidedWindows, RadianceBands
from drht_plugin.engine.render.network.network_bands import NetworkBands
from drht_plugin.engine.render.network.windows import TILE, NetworkRenderer
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.survey.fit_grid import radiance_grid

if TYPE_CHECKING:
    import torch

    from drht_plugin.model.detail_network import DetailRunner

BACKENDS = ("auto", "numba", "torch")


class Backend(Protocol):
    """Renderers and kernels that belong together."""

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
        network: DetailRunner | None,
        tile: int | None,
    ) -> BandRenderer:
        """Return a renderer of bands, for one pass over the image.

        Args:
            scene: The image's scene.
            strength: How much of the correction is applied.
            row_shape: Shape of one row of the image, W or W×K.
            network: The detail network; None for guided detail.
            tile: Side of the tiles that the network sees, in pixels.
        """
        ...

    def radiance(self, scene: Scene, channels: int) -> BandRenderer:
        """Return a renderer of bands of the HDR estimate, W×channels float32."""
        ...

    def windows(self, network: DetailRunner | None, tile: int) -> WindowRenderer:
        """Return a renderer of windows; arguments as of `bands`."""
        ...


def choose_backend(name: str, device: str) -> Backend:
    """Return the backend of a name; "auto" takes torch on an accelerator and numba elsewhere.

    Args:
        name: One of `BACKENDS`.
        device: As in `model.device.choose_device`.

    Raises:
        InputError: An unknown device.
    """
    if name == "numba":
        return NumbaBackend()
    from drht_plugin.model.device import choose_device

    chosen = choose_device(device)
    return TensorBackend(chosen) if name == "torch" or chosen.type != "cpu" else NumbaBackend()


class NumbaBackend:
    """Numba's kernels on the CPU; see `Backend`."""

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
        network: DetailRunner | None,
        tile: int | None,
    ) -> BandRenderer:
        """See `Backend`."""
        if network is None:
            return GuidedBands(scene, strength, row_shape)
        return NetworkBands(scene, strength, row_shape, NetworkRenderer(network, tile))

    def radiance(self, scene: Scene, channels: int) -> BandRenderer:
        """See `Backend`."""
        return RadianceBands(scene, radiance_grid(scene), channels)

    def windows(self, network: DetailRunner | None, tile: int) -> WindowRenderer:
        """See `Backend`."""
        return GuidedWindows() if network is None else NetworkRenderer(network, tile)


@dataclass(frozen=True)
class TensorBackend:
    """Tensor operations on a device; see `Backend`."""

    device: torch.device
    is_cold = False

    def prepare(self, dtype: np.dtype[Any]) -> None:
        """See `Backend`; there is nothing to compile."""
        from drht_plugin.model.threads import require_device_after_fork

        require_device_after_fork(self.device)

    @property
    def kernels(self) -> SurveyKernels:
        """See `Backend`."""
        return tensor_kernels(self.device)

    def bands(
        self,
        scene: Scene,
        strength: Strength,
        row_shape: tuple[int, ...],
        network: DetailRunner | None,
        tile: int | None,
    ) -> BandRenderer:
        """See `Backend`."""
        from drht_plugin.engine.render.tensors.bands import TensorBands
        from drht_plugin.engine.render.tensors.windows import NetworkWindows

        windows = None
        if network is not None:
            windows = NetworkWindows(network.residual, TILE if tile is None else tile)
        return TensorBands(scene, strength, row_shape, self.device, windows)

    def radiance(self, scene: Scene, channels: int) -> BandRenderer:
        """See `Backend`."""
        from drht_plugin.engine.render.tensors.bands import TensorRadianceBands

        return TensorRadianceBands(scene, radiance_grid(scene, self.kernels), self.device, channels)

    def windows(self, network: DetailRunner | None, tile: int) -> WindowRenderer:
        """See `Backend`."""
        from drht_plugin.engine.render.tensors.bands import TensorWindows

        residual = None if network is None else network.residual
        return TensorWindows(self.device, residual, tile)
