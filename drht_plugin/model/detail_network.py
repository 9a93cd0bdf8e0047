"""The detail network, which corrects guided detail at full resolution.

It is an auto-encoder of DRHT's blocks (convolution, ELU, skips a + b + a·b) with three levels at
1/2, 1/4 and 1/8 of the resolution. It has no normalisation and no mean over the picture: an
output pixel depends only on input pixels within `bridge.sizes.HALO`, so that overlapping tiles
agree.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drht_plugin.bridge.sizes import CELL, PLANES
from drht_plugin.errors import InputError
from drht_plugin.model.activation import elu_
from drht_plugin.model.device import choose_device, inference_dtype, tune_allocator
from drht_plugin.model.locate import detail_of, locate
from drht_plugin.model.networks import initialise, join
from drht_plugin.model.threads import detail_threads, fixed_threads, outlives_fork
from drht_plugin.model.weights import DETAIL_ARCHITECTURE, load_weights

FloatArray = npt.NDArray[np.float32]

_CHANNELS = (64, 128, 256)

_MOST_CONTEXT = 1.0
"""Bound of what the two wide levels hand on. Of photographs it is always less; of a checkerboard of
single pixels, which training does not show them, it would be half a million."""


class DetailNetwork(nn.Module):
    """Network from input planes to a residual that is added to guided T.

    Input and output are in cells of 2×2 pixels (`bridge.detail_planes`). The residual has the R,
    G, B of the four pixels of a cell one after another.
    """

    def __init__(self) -> None:
        super().__init__()
        near, middle, far = _CHANNELS
        self.stem = nn.Conv2d(PLANES * CELL * CELL, near, 3, 1, 1)
        self.down_middle = nn.Conv2d(near, middle, 3, 2, 1)
        self.middle = nn.Conv2d(middle, middle, 3, 1, 1)
        self.down_far = nn.Conv2d(middle, far, 3, 2, 1)
        self.far = nn.Conv2d(far, far, 3, 1, 1)
        self.up_middle = nn.ConvTranspose2d(far, middle, 3, 2, 1, output_padding=1)
        self.merge_middle = nn.Conv2d(middle, middle, 3, 1, 1)
        self.up_near = nn.ConvTranspose2d(middle, near, 3, 2, 1, output_padding=1)
        self.merge_near = nn.Conv2d(near, near, 3, 1, 1)
        self.project = nn.Conv2d(near, 3 * CELL * CELL, 1)
        self._initialise()

    def _initialise(self) -> None:
        initialise(self)
        # An untrained network leaves guided detail unchanged.
        nn.init.zeros_(self.project.weight)

    def forward(self, planes: Tensor) -> Tensor:
        """Compute the residual.

        Args:
            planes: B×96×h×w input planes; h and w are multiples of `DETAIL_STRIDE` / `CELL`.

        Returns:
            B×12×h×w float32 residual, to be added to guided T.
        """
        near = elu_(self.stem(planes))
        middle = elu_(self.down_middle(near))
        middle = elu_(self.middle(middle))
        far = elu_(self.down_far(middle))
        far = elu_(self.far(far))
        up = elu_(self.up_middle(far))
        up = elu_(self.merge_middle(join(up, middle)).clamp_(max=_MOST_CONTEXT))
        up = elu_(self.up_near(up))
        up = elu_(self.merge_near(join(up, near)))
        with torch.autocast(planes.device.type, enabled=False):
            # float32, because rounding to bfloat16 here would show as banding.
            return F.conv2d(up.float(), self.project.weight, self.project.bias)


def detail_network(model: str | Path) -> DetailNetwork:
    """Load the detail network of a model.

    Args:
        model: name of a shipped model or a .safetensors file (of the model, not of its detail
            network).

    Returns:
        The network, float32, on the CPU.

    Raises:
        InputError: there is no such model, or it has no detail network.
        WeightsError: the weights are damaged.
    """
    weights = detail_of(locate(model))
    if not weights.is_file():
        raise InputError(
            f"model {str(model)!r} has no network for detail 'network' ({weights.name} is "
            "missing); expected detail 'guided'"
        )
    return load_weights(weights, {DETAIL_ARCHITECTURE: DetailNetwork})


class DetailRunner:
    """The detail network of a model on a device; safe to call from several threads.

    Args:
        model: name of a shipped model or a .safetensors file.
        device: as in `choose_device`.

    Raises:
        InputError: there is no such model or device, or the model has no detail network.
        WeightsError: the weights are damaged.
    """

    def __init__(self, model: str | Path = "default", device: str = "auto") -> None:
        self.device = choose_device(device)
        self.dtype = inference_dtype(self.device)
        tune_allocator()
        network = detail_network(model)
        network = network.eval().requires_grad_(False)
        self._network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._queued = self.device.type == "cuda"

    def room(self, shape: tuple[int, ...]) -> FloatArray:
        """Allocate an array for input planes.

        On CUDA it is in pinned memory, which is transferred while the CPU prepares other planes.
        PyTorch keeps pinned memory for the next tile: about 290 MiB for planes and results, per
        thread that renders tiles of 1024 pixels. See `device.give_pinned_back`.

        Args:
            shape: shape of the planes, h×w×96.

        Returns:
            Uninitialised float32 array.
        """
        pinned = _pinned(shape) if self._queued else None
        return np.empty(shape, np.float32) if pinned is None else pinned.numpy()

    @outlives_fork
    def residual(self, planes: Tensor) -> Tensor:
        """Run the network on planes that lie on its device.

        Args:
            planes: 1×96×h×w float32; h and w are multiples of `DETAIL_STRIDE` / `CELL`.

        Returns:
            1×12×h×w float32, what guided T lacks.

        Raises:
            torch.OutOfMemoryError, MemoryError: the tile is too large for the device.
        """
        with (
            fixed_threads(detail_threads(self.dtype), self.device),
            torch.inference_mode(),
            torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32),
        ):
            dense = planes.to(self.dtype, memory_format=torch.channels_last)
            result: Tensor = self._network(dense)
        return result.float()

    @outlives_fork
    def begin(self, planes: FloatArray) -> Callable[[], FloatArray]:
        """Start to compute the residual of a tile.

        CUDA computes in the background; other devices finish before this returns. Convolutions
        are bfloat16 where the device computes it at full speed; the last one is float32.

        Args:
            planes: h×w×96 float32 input planes; h and w are multiples of `DETAIL_STRIDE` / `CELL`.

        Returns:
            A function that waits for the result and returns the h×w×12 float32 residual.

        Raises:
            torch.OutOfMemoryError, MemoryError: the tile is too large for the device.
        """
        # The planes have the memory layout of a channels-last tensor.
        given = torch.from_numpy(planes).permute(2, 0, 1)[None]
        with (
            fixed_threads(detail_threads(self.dtype), self.device),
            torch.inference_mode(),
            torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32),
        ):
            residual = self._network(given.to(self.device, non_blocking=self._queued))
        residual = residual[0].permute(1, 2, 0).contiguous()
        back = _pinned(residual.shape) if self._queued else None
        if back is None:
            result: FloatArray = residual.cpu().numpy()
            return lambda: result
        back.copy_(residual, non_blocking=True)
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(self.device))
        return partial(_wait, done, back, given)


def _pinned(shape: tuple[int, ...]) -> Tensor | None:
    """Allocate memory that CUDA can copy in the background, or None if the system has none left."""
    try:
        return torch.empty(shape, dtype=torch.float32, device="cpu", pin_memory=True)
    except RuntimeError:
        return None


def _wait(done: torch.cuda.Event, back: Tensor, given: Tensor) -> FloatArray:
    """Wait for the result; until then, `given` must live, because the device may still read it."""
    done.synchronize()
    result: FloatArray = back.numpy()
    return result
