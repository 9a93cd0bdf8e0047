"""Recipes: all settings of a training run of the two survey networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drht_plugin.model.networks import SHIPPED
from drht_plugin.training.triplets import PLAIN, Mix


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run; stored with the weights.

    A run has two phases. Up to `grow` of the training time, batches hold many small views. After
    it, they hold few large views, the statistics of the normalisation are fixed, and the learning
    rate is multiplied by `fixed_rate`.

    Attributes:
        minutes: training time, over all resumed runs.
        seed: seed for weights, views and noise.
        learning_rate: Adam's peak learning rate; it then falls to zero along a cosine.
        warm_up: share of the training time in which the learning rate rises to its peak.
        second_moment: Adam's β₂.
        weight_decay: AdamW's weight decay.
        megapixels: size of a batch.
        small: range of the square root of a view's area in the first phase, in pixels.
        large: the same range in the second phase.
        grow: share of the training time after which the second phase starts.
        fixed_rate: factor of the learning rate in the second phase.
        sizes: heights and widths to choose from, in place of `small` and `large`; a GPU searches
            its kernels again for every size.
        shots: LDR pictures taken of each view.
        averaging: decay of the moving average of the weights.
        clip_gradient: largest norm of the gradient.
        start: shipped model or .safetensors file to start from; empty for random weights. Its
            normalisation is fixed already, so that `grow` counts as 0. A gain that it lacks
            starts as 1.
        architecture: a name in `networks.ARCHITECTURES`.
        loss: weights of loss terms by their names in `losses.TERMS`.
        mix: which views are drawn.
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
"""Recipes by name. default: from scratch, on a CPU. gpu: fine-tune other weights for eight minutes
on a large GPU, as the shipped weights were made. paper: networks, losses and optimiser of Yang et
al. 2018, on our data."""
