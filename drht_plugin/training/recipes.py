"""Recipes: everything that decides what a training of both networks gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drht_plugin.model.networks import SHIPPED
from drht_plugin.training.triplets import PLAIN, Mix


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what training gives; stored with the weights.

    minutes: budget of training time, over all resumed runs. learning_rate: Adam's peak, after
    `warm_up` of the budget, then a cosine to zero. second_moment: decay of Adam's mean of
    squares; weight_decay: AdamW's. megapixels: size of a batch. small, large:
    ranges of the square root of a view's area in pixels, before and after `grow` of the budget;
    from then on a batch holds few views, the statistics of the normalisation stay fixed, and the
    learning rate is multiplied by `fixed_rate`. sizes: heights and widths that views have
    instead, as a GPU searches its kernels anew for each.
    shots: LDR pictures taken of each view. averaging: decay of the weights' moving average.
    start: a shipped model's name or a .safetensors file to begin from, in place of fresh weights:
    its normalisation is fixed, so `grow` counts as 0. A gain that it lacks begins as 1.
    architecture: a name in `networks.LAYOUTS`. loss: weights of terms by their names in
    `losses.TERMS`. mix: what is drawn, see `triplets.Mix`.
    """

    minutes: float = 85.0
    seed: int = 1
    learning_rate: float = 2e-3
    warm_up: float = 0.03
    second_moment: float = 0.999
    weight_decay: float = 0.0
    megapixels: float = 0.3
    small: tuple[int, int] = (112, 208)
    large: tuple[int, int] = (192, 320)
    grow: float = 0.65
    fixed_rate: float = 0.2
    sizes: tuple[tuple[int, int], ...] = ()
    shots: int = 2
    averaging: float = 0.998
    clip_gradient: float = 1.0
    start: str = ""
    architecture: str = SHIPPED
    loss: Mapping[str, float] = field(
        default_factory=lambda: {
            "hdr": 0.5,
            "hdr-log": 0.05,
            "hdr-clipped": 0.15,
            "ldr": 1.0,
            "structure": 0.4,
        }
    )
    mix: Mix = PLAIN


RECIPES = {
    "default": Recipe(),
    "gpu": Recipe(
        minutes=8.2,
        seed=11,
        learning_rate=4e-4,
        warm_up=0.046,
        second_moment=0.99,
        weight_decay=1e-4,
        megapixels=3.93,
        fixed_rate=1.0,
        sizes=((256, 256), (224, 288), (288, 224), (192, 320), (320, 192), (288, 320)),
        shots=3,
        averaging=0.9995,
        start="default",
        loss={
            "hdr": 0.5,
            "hdr-log": 0.05,
            "hdr-clipped": 0.15,
            "ldr": 1.0,
            "structure": 0.3,
            "coarse-structure": 0.1,
            "log-mse": 0.01,
            "gradients": 0.15,
        },
        mix=Mix(photographs=0.5, renditions=0.85, pages=0.12, kept=0.12, turned=0.13),
    ),
    "paper": Recipe(
        learning_rate=1e-2,
        architecture="drht-paper-1",
        loss={"hdr-squared": 1.0, "ldr-squared": 1.0},
    ),
}
"""default: fresh weights on a CPU. gpu: on from other weights, eight minutes on a large GPU, which
is how the shipped ones were made. paper: networks, losses and optimiser of Yang et al. 2018, on our
data."""
