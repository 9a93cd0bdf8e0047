"""The detail network: corrects guided detail at full resolution, conditioned on the scene.

An auto-encoder of DRHT's blocks (convolution, ELU, skips a + b + a·b) with three levels at 1/2,
1/4 and 1/8 of the resolution. It has no normalisation and no mean over the picture: a pixel of
its output depends on no pixel further than `bridge.layout.HALO`, so that overlapping tiles agree.
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
from drht_plugin.model.weights import DETAIL_ARCHITECTURE, load_weights

FloatArray = npt.NDArray[np.float32]

_CHANNELS = (64, 128, 256)


class DetailNetwork(nn.Module):
    """B×96×H×W planes (`bridge.detail`, 2×2 pixels a place) to B×12×H×W: what guided T lacks.

    H and W are multiples of STRIDE / CELL. The output holds R, G, B of the four pixels after one
    another, float32, to be added to guided T.
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
        # Begins as guided detail.
        nn.init.zeros_(self.project.weight)

    def forward(self, planes: Tensor) -> Tensor:
        """The correction of guided T."""
        near = elu_(self.stem(planes))
        middle = elu_(self.down_middle(near))
        middle = elu_(self.middle(middle))
        far = elu_(self.down_far(middle))
        far = elu_(self.far(far))
        up = elu_(self.up_middle(far))
        up = elu_(self.merge_middle(join(up, middle)))
        up = elu_(self.up_near(up))
        up = elu_(self.merge_near(join(up, near)))
        with torch.autocast(planes.device.type, enabled=False):
            # The last addition and its terms are float32: bfloat16 would show as bands.
            return F.conv2d(up.float(), self.project.weight, self.project.bias)


def detail_network(model: str | Path) -> DetailNetwork:
    """The detail network of a model, a shipped one's name or a .safetensors file.

    Raises:
        InputError: no such model, or one without a detail network.
        WeightsError: damaged weights.
    """
    weights = detail_of(locate(model))
    if not weights.is_file():
        raise InputError(
            f"model {str(model)!r} has no network for detail 'network' ({weights.name} is "
            "missing); expected detail 'guided'"
        )
    return load_weights(weights, {DETAIL_ARCHITECTURE: DetailNetwork})


class DetailRunner:
    """The detail network of one model on one device; safe to call from several threads."""

    def __init__(self, model: str | Path = "default", device: str = "auto") -> None:
        self.device = choose_device(device)
        self.dtype = inference_dtype(self.device)
        tune_allocator()
        network = detail_network(model)
        network = network.eval().requires_grad_(False)
        self._network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._queued = self.device.type == "cuda"

    def room(self, shape: tuple[int, ...]) -> FloatArray:
        """An array for planes; on CUDA in pinned memory, which is sent while others are made.

        PyTorch keeps pinned memory for the next tile: of planes and results, some 290 MiB for
        each thread that renders tiles of 1024 in their order.
        """
        pinned = _pinned(shape) if self._queued else None
        return np.empty(shape, np.float32) if pinned is None else pinned.numpy()

    def begin(self, planes: FloatArray) -> Callable[[], FloatArray]:
        """Start on a tile's planes, h×w×96 float32; what it gives is what guided T lacks.

        h and w are multiples of `STRIDE` / `CELL`; it gives h×w×12 float32. CUDA does its work
        while the caller goes on, and is waited for then; other devices are done at once.
        Convolutions are bfloat16 where the device is fast at it; the last addition and its terms
        are float32.

        Raises:
            torch.OutOfMemoryError, MemoryError: the tile is too large for the device.
        """
        # The planes lie in memory as channels-last tensors do.
        given = torch.from_numpy(planes).permute(2, 0, 1)[None]
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32),
        ):
            lacking = self._network(given.to(self.device, non_blocking=self._queued))
        lacking = lacking[0].permute(1, 2, 0).contiguous()
        back = _pinned(lacking.shape) if self._queued else None
        if back is None:
            made: FloatArray = lacking.cpu().numpy()
            return lambda: made
        back.copy_(lacking, non_blocking=True)
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(self.device))
        return partial(_wait, done, back, given)


def _pinned(shape: tuple[int, ...]) -> Tensor | None:
    """Memory that CUDA copies from and to by itself; None where the system gives none."""
    try:
        return torch.empty(shape, dtype=torch.float32, device="cpu", pin_memory=True)
    except RuntimeError:
        return None


def _wait(done: torch.cuda.Event, back: Tensor, given: Tensor) -> FloatArray:
    """What came back, once it is there; until then the device may still read what was given."""
    done.synchronize()
    made: FloatArray = back.numpy()
    return made
