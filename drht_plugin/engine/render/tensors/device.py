"""What lies on a device: a scene's tables, pixels on their way up and down."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from drht_plugin.engine.bands import Finish
from drht_plugin.engine.pixels import as_channels
from drht_plugin.engine.render.tensors import pixelwise
from drht_plugin.engine.render.tensors.pixelwise import Coordinates, grid_tables
from drht_plugin.engine.scene import NOISE_AT, Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.engine.touch import Touch, touch_of
from drht_plugin.geometry import Region
from drht_plugin.orientation import (
    reverses_columns,
    reverses_rows,
    transposes,
    upright_corner,
    upright_size,
)

Image = npt.NDArray[Any]


class DeviceScene:
    """A scene's tables on a device, copied once.

    Args:
        scene: The survey of the whole image.
        device: Where the tables go.
        grid: The tone grid to slice; the scene's own if absent.

    Attributes:
        scene: The scene of the upright image.
        stored: The spec of the image as it is stored.
        orientation: How the image is stored.
        size: Height and width of the upright image.
        steps: Quantisation steps to smooth where they are lifted, from 0 to 1; 0 for none.
    """

    def __init__(self, scene: Scene, device: torch.device, grid: ToneGrid | None = None) -> None:
        self.scene, self.stored, self.device = scene.upright, scene.spec, device
        self.orientation = scene.orientation
        self.tables = grid_tables(grid or scene.tone, device, wrap=scene.wrap)
        spec = self.scene.spec
        self.size = spec.height, spec.width
        smooth = grid is None and scene.tone.has_slopes
        self.steps = spec.coarse_codes if smooth else 0.0
        self._touch: tuple[Touch, pixelwise.DeviceTouch] | None = None

    @cached_property
    def _conditions(self) -> Tensor:
        """The scene's `conditions`, copied when network detail first needs them."""
        return torch.from_numpy(self.scene.conditions).to(self.device)

    def conditions(self, denoise: float) -> Tensor:
        """Return the scene's `conditions`, with the noise scaled by a factor."""
        if denoise == 1:
            return self._conditions
        given = self._conditions
        return torch.cat([given[..., :NOISE_AT], given[..., NOISE_AT:] * denoise], -1)

    def touch(self, strength: Strength) -> pixelwise.DeviceTouch | None:
        """Return the last touch, on the device; None if there is none. The last one is kept."""
        touch = touch_of(self.scene, strength)
        if touch is None:
            return None
        known = self._touch
        if known is None or known[0] is not touch:
            known = self._touch = touch, pixelwise.device_touch(touch, self.device)
        return known[1]

    def columns(self, left: int, count: int) -> Coordinates:
        """Return the scene's coordinates of columns of the upright image."""
        at = np.arange(left, left + count)
        return (at - self.scene.origin) % self.size[1] if self.scene.wrap else at

    def upright(self, region: Region) -> Region:
        """Return where a region of the stored image lies in the upright one."""
        corner, size = (region.top, region.left), (region.height, region.width)
        whole = self.stored.height, self.stored.width
        top, left = upright_corner(corner, size, whole, self.orientation)
        return Region(top, left, *upright_size(*size, self.orientation))


def upload(pixels: Image, device: torch.device) -> Tensor:
    """Copy stored pixels R×C×K to a device; on CUDA through pinned memory, without waiting."""
    # torch takes no array that may not be written, such as one of a read-only file.
    array = np.ascontiguousarray(pixels) if pixels.flags.writeable else pixels.copy(order="C")
    if array.dtype == np.uint16:
        # Few operations know uint16; int16 has the same bits.
        array = array.view(np.int16)
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    try:
        tensor = tensor.pin_memory()
    except RuntimeError:
        # The system has no memory left to pin; the copy is slower without.
        return tensor.to(device)
    return tensor.to(device, non_blocking=True)


def download(made: Tensor) -> Finish:
    """Start copying a result to the host."""
    host = _pinned(made) if made.device.type == "cuda" else None
    if host is None:
        array = made.contiguous().cpu().numpy()

        def copied(out: Image) -> None:
            _store(array, out)

        return copied
    host.copy_(made, non_blocking=True)
    done = torch.cuda.Event()
    done.record(torch.cuda.current_stream(made.device))

    def waited(out: Image) -> None:
        done.synchronize()
        _store(host.numpy(), out)

    return waited


def _pinned(like: Tensor) -> Tensor | None:
    """Allocate memory of the host for a copy in the background; None if there is none left."""
    try:
        return torch.empty(like.shape, dtype=like.dtype, device="cpu", pin_memory=True)
    except RuntimeError:
        return None


def _store(made: Image, out: Image) -> None:
    as_channels(out)[...] = made.view(np.uint16) if made.dtype == np.int16 else made


def to_upright(stored: Tensor, orientation: int) -> Tensor:
    """Turn stored pixels upright; see `orientation`."""
    pixels = stored.transpose(0, 1) if transposes(orientation) else stored
    return _reverse_axes(pixels, orientation)


def to_stored(upright: Tensor, orientation: int) -> Tensor:
    """Turn upright pixels back to how the image is stored: undoes `to_upright`."""
    pixels = _reverse_axes(upright, orientation)
    return pixels.transpose(0, 1) if transposes(orientation) else pixels


def _reverse_axes(pixels: Tensor, orientation: int) -> Tensor:
    axes = [
        axis
        for axis, reverses in ((0, reverses_rows), (1, reverses_columns))
        if reverses(orientation)
    ]
    return pixels.flip(axes) if axes else pixels
