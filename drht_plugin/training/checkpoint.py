"""A training run: a network, the moving average of its weights, an optimiser and a checkpoint."""

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
    """Settings that every run needs; see `recipes.Recipe` and `detail_loop.DetailRecipe`."""

    @property
    def minutes(self) -> float:
        """Training time in minutes, over all resumed runs."""
        ...

    @property
    def seed(self) -> int:
        """Seed for the weights and the training data."""
        ...

    @property
    def learning_rate(self) -> float:
        """Peak learning rate."""
        ...


class Progress(Protocol):
    """How far a run is: a dataclass of numbers, among them the `seconds` trained so far."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    seconds: float


NetworkT = TypeVar("NetworkT", bound=nn.Module)
RecipeT = TypeVar("RecipeT", bound=Recipe)
ProgressT = TypeVar("ProgressT", bound=Progress)


class Run(Generic[NetworkT, RecipeT, ProgressT]):
    """One training run in one folder: network, averaged network, optimiser and progress.

    Args:
        make: builds the network; called after the recipe's seed was set.
        recipe: settings of the run.
        progress: progress of a new run; `resume` replaces it.
        folder: existing folder for the checkpoint.
        device: where the network is trained.
    """

    def __init__(
        self,
        make: Callable[[], NetworkT],
        recipe: RecipeT,
        progress: ProgressT,
        folder: Path,
        device: torch.device,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.device = recipe, folder, device
        self.model: NetworkT = make().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimiser = self.make_optimiser()
        self.progress = progress

    def make_optimiser(self) -> torch.optim.Optimizer:
        """Return a new optimiser for the network's parameters."""
        return torch.optim.Adam(self.model.parameters(), self.recipe.learning_rate)

    @property
    def fraction(self) -> float:
        """Share of the training time that has passed, 0..1."""
        return min(1.0, self.progress.seconds / (60 * self.recipe.minutes))

    def save(self) -> Path:
        """Write the checkpoint; the previous one stays until the new one is complete.

        Returns:
            The path of the checkpoint.
        """
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
        """Continue from the folder's checkpoint.

        Returns:
            Whether there was a checkpoint.

        Raises:
            ReadError: the checkpoint cannot be read.
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
        """Resume the folder's run, or make sure that a new run would not overwrite one.

        Args:
            resume: whether to continue from the folder's checkpoint.

        Raises:
            InputError: there is no checkpoint to resume from, or a new run would overwrite one.
            ReadError: the checkpoint cannot be read.
        """
        if resume and not self.resume():
            raise InputError(f"{self.folder}: no checkpoint to resume from")
        if not resume and (self.folder / "checkpoint.pt").exists():
            raise InputError(
                f"{self.folder}: already holds a run; resume it or name another folder"
            )

    def prepare(self) -> None:
        """Change the network to its form at this progress; called before weights are loaded."""
