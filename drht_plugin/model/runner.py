"""Runs the two survey networks on an overview."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from drht_plugin.errors import WeightsError
from drht_plugin.model.device import choose_device, inference_dtype, tune_allocator
from drht_plugin.model.threads import (
    SURVEY,
    fixed_threads,
    outlives_fork,
    require_device_after_fork,
)
from drht_plugin.model.weights import load_model

FloatArray = npt.NDArray[np.float32]


class Runner:
    """The survey networks of a model on a device; safe to call from several threads.

    Args:
        model: name of a shipped model or a .safetensors file.
        device: as in `choose_device`.

    Raises:
        InputError: there is no such model or device.
        WeightsError: the weights are damaged or of another architecture.
    """

    def __init__(self, model: str | Path = "default", device: str = "auto") -> None:
        self.device = choose_device(device)
        self.dtype = inference_dtype(self.device)
        tune_allocator()
        network, self._model = load_model(model), str(model)
        self._network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @outlives_fork
    def __call__(
        self, ldr: FloatArray, known: tuple[FloatArray, FloatArray] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Run both networks.

        Args:
            ldr: h×w×3 float32 display codes in 0..1; h and w are multiples of 32.
            known: the picture's true y, h×w×3 float32, and how far it may be more than that,
                h×w×1 float32 in 0..1; None where nothing is known.

        Returns:
            y and T, h×w×3 float32 each, finite, not clipped.

        Raises:
            WeightsError: the networks give NaN or infinity, as their weights are too large.
            ForkError: CUDA was in use before this process was forked.
        """
        require_device_after_fork(self.device)
        given = [self._planes(each) for each in (ldr, *(known or ()))]
        with (
            fixed_threads(SURVEY, self.device),
            torch.inference_mode(),
            torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32),
        ):
            estimate = self._network(given[0], tuple(given[1:]) if known else None)
        y, corrected = _to_numpy(estimate.y), _to_numpy(estimate.corrected)
        if not (np.isfinite(y).all() and np.isfinite(corrected).all()):
            raise WeightsError(f"model {self._model!r} gives NaN or infinite values")
        return y, corrected

    def _planes(self, picture: FloatArray) -> torch.Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
        return planes.to(self.device, memory_format=torch.channels_last)


def _to_numpy(planes: torch.Tensor) -> FloatArray:
    return planes[0].float().permute(1, 2, 0).contiguous().cpu().numpy()
