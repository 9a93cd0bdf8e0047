"""The networks of a model, each loaded on its devices when it is first needed."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from drht_plugin.model.device_names import require_device
from drht_plugin.model.locate import require_model

if TYPE_CHECKING:
    from drht_plugin.model.detail_network import DetailRunner
    from drht_plugin.model.runner import Runner


class LoadedNetworks:
    """The networks of a model on one or more devices.

    Args:
        model: "default", or a .safetensors file with its .json beside it.
        device: as in `model.device.choose_devices`.

    Raises:
        InputError: a model or device that is no name of one.
    """

    def __init__(self, model: str | Path = "default", device: str = "auto") -> None:
        require_model(model)
        require_device(device)
        self._model, self._device = model, device

    @cached_property
    def runner(self) -> Runner:
        """The two networks of the survey, loaded on first use."""
        from drht_plugin.model.runner import Runner

        return Runner(self._model, self._devices[0])

    @cached_property
    def detail_runners(self) -> tuple[DetailRunner, ...]:
        """The network of network detail on each device, loaded on first use.

        Raises:
            InputError: the model has none.
        """
        from drht_plugin.model.detail_network import DetailRunner

        return tuple(DetailRunner(self._model, device) for device in self._devices)

    @cached_property
    def _devices(self) -> tuple[str, ...]:
        from drht_plugin.model.device import choose_devices

        return tuple(str(device) for device in choose_devices(self._device))

    @cached_property
    def has_detail(self) -> bool:
        """Whether the model has a network for network detail; does not load it."""
        from drht_plugin.model.locate import detail_of, locate

        return detail_of(locate(self._model)).is_file()

    @cached_property
    def on_accelerator(self) -> bool:
        """Whether the networks run on an accelerator, not on the CPU."""
        return not self._devices[0].startswith("cpu")

    def model_digest(self) -> str:
        """Return the SHA-256 of the networks' weights in hexadecimal; it identifies the model."""
        from drht_plugin.model.locate import detail_of, locate

        weights = locate(self._model)
        files = [weights, detail_of(weights)] if self.has_detail else [weights]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
