"""What every training run is: a network, its average, an optimiser, and a checkpoint to resume."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import nn

from drht_plugin.errors import InputError, ReadError


class Recipe(Protocol):
    """What a run of any network is told: see the recipes of `loop` and `detail`."""

    @property
    def minutes(self) -> float:
        """Budget of training time."""
        ...

    @property
    def seed(self) -> int:
        """Of the weights and of what is drawn."""
        ...

    @property
    def learning_rate(self) -> float:
        """The optimiser's first."""
        ...


class Progress(Protocol):
    """How far a run is, as a dataclass of numbers; `seconds` of the budget are spent."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    seconds: float


Network = TypeVar("Network", bound=nn.Module)
Told = TypeVar("Told", bound=Recipe)
Done = TypeVar("Done", bound=Progress)


class Run(Generic[Network, Told, Done]):
    """Network, its average, optimiser and progress of one run in one folder.

    make: makes the network, after the recipe's seed was set.
    """

    def __init__(
        self,
        make: Callable[[], Network],
        recipe: Told,
        progress: Done,
        folder: Path,
        device: torch.device,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.device = recipe, folder, device
        self.model: Network = make().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimiser = self.make_optimiser()
        self.progress = progress

    def make_optimiser(self) -> torch.optim.Optimizer:
        """A new optimiser of the network."""
        return torch.optim.Adam(self.model.parameters(), self.recipe.learning_rate)

    @property
    def fraction(self) -> float:
        """Share of the budget that is spent, 0..1."""
        return min(1.0, self.progress.seconds / (60 * self.recipe.minutes))

    def save(self) -> Path:
        """Write the checkpoint, replacing the last one only when it is whole."""
        path = self.folder / "checkpoint.pt"
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)
        return path

    def resume(self) -> bool:
        """Go on from the folder's checkpoint; False where there is none.

        Raises:
            ReadError: there is one and it cannot be read.
        """
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.progress = type(self.progress)(**state["progress"])
            self.prepare()
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
        except Exception as error:
            raise ReadError(f"{path}: not a checkpoint of this training ({error})") from error
        return True

    def begin(self, *, resume: bool) -> None:
        """Go on from the folder's checkpoint, or see that there is none to be lost.

        Raises:
            InputError: none to resume from, or one that a new run would replace.
            ReadError: it cannot be read.
        """
        if resume and not self.resume():
            raise InputError(f"{self.folder}: no checkpoint to resume from")
        if not resume and (self.folder / "checkpoint.pt").exists():
            raise InputError(
                f"{self.folder}: holds a run already; resume it or name another folder"
            )

    def prepare(self) -> None:
        """Give the networks the form that they have at this progress, before they are loaded."""
