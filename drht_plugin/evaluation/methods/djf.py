"""DJF: Li, Huang, Ahuja, Yang, "Deep joint image filtering", ECCV 2016: a learned smoother.

The target and the guidance image each pass through a network (9×9 to 96 channels, 1×1 to 48, 5×5 to
1), and both results through a third (9×9 to 64, 1×1 to 32, 5×5 to 1), with ReLU between layers.
Borders are replicated to keep the size. The guidance has one channel, because here it is the same
picture as the target.

The paper trains on depth maps, which are piecewise smooth with edges where the guidance has them.
It shows that the network then separates structure from texture when a picture guides itself. Here,
base layers of photographs (weighted least squares) replace the depth maps: the network learns to
produce a picture's base layer from the picture as guidance and, as target, the picture reduced
eightfold and enlarged again. ::

    python -m drht_plugin.evaluation.methods.djf --data FOLDER --out FILE
"""

from __future__ import annotations

import argparse
import functools
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor
from torch.nn import functional

from drht_plugin.errors import InputError, WeightsError
from drht_plugin.evaluation.methods._colour import luma
from drht_plugin.evaluation.methods._entry import Plane
from drht_plugin.evaluation.methods._wls import base
from drht_plugin.virtual_camera import Aim, HdrImage, display_codes, metered_exposure, view

WEIGHTS = Path(__file__).parent / "weights" / "djf.safetensors"
REDUCTION = 8

LAYERS = {
    "target": ((1, 96, 9), (96, 48, 1), (48, 1, 5)),
    "guide": ((1, 96, 9), (96, 48, 1), (48, 1, 5)),
    "joint": ((2, 64, 9), (64, 32, 1), (32, 1, 5)),
}
"""Input channels, output channels and kernel size of each convolution of the three networks."""

Weights = Mapping[str, Tensor]


def smooth(plane: Plane) -> Plane:
    """Return the base layer of a plane that guides itself.

    Args:
        plane: H×W in 0..1.

    Returns:
        H×W.

    Raises:
        WeightsError: the shipped weights cannot be used.
    """
    guide = torch.from_numpy(np.ascontiguousarray(plane))[None, None]
    with torch.inference_mode():
        result: Plane = joint_filter(shipped(), reduced(guide), guide)[0, 0].numpy()
    return result


def joint_filter(weights: Weights, target: Tensor, guide: Tensor) -> Tensor:
    """Filter a target under guidance.

    Args:
        weights: weights of the three networks.
        target: B×1×H×W.
        guide: B×1×H×W.

    Returns:
        B×1×H×W.
    """
    parts = [_network(weights, "target", target), _network(weights, "guide", guide)]
    return _network(weights, "joint", torch.cat(parts, 1))


def reduced(plane: Tensor) -> Tensor:
    """Reduce planes by `REDUCTION` and enlarge them again, which keeps tone without structure.

    Args:
        plane: B×1×H×W.

    Returns:
        B×1×H×W.
    """
    size = plane.shape[-2:]
    small = [math.ceil(side / REDUCTION) for side in size]
    return functional.interpolate(
        functional.interpolate(plane, small, mode="area"), size, mode="bicubic", align_corners=False
    )


@functools.cache
def shipped() -> Weights:
    """Load the weights that come with the package.

    Returns:
        float32 tensors by name.

    Raises:
        WeightsError: the weights are missing, damaged, or of another network.
    """
    try:
        weights = {name: w.float() for name, w in load(WEIGHTS.read_bytes()).items()}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{WEIGHTS}: cannot be read ({error}); install it again") from error
    expected = {name: w.shape for name, w in initial(0).items()}
    if {name: w.shape for name, w in weights.items()} != expected:
        raise WeightsError(f"{WEIGHTS}: made for another network")
    return weights


def store(weights: Weights, path: Path, facts: Mapping[str, str]) -> None:
    """Write weights in half precision, with facts about them in the file's header.

    Args:
        weights: weights by name.
        path: .safetensors file to write.
        facts: entries of the header.
    """
    halves = {name: w.half().contiguous() for name, w in weights.items()}
    save_file(halves, path, {"network": "djf", "data": "freely licensed HDR scenes", **facts})


def initial(seed: int) -> dict[str, Tensor]:
    """Draw untrained weights (He et al. 2015).

    Args:
        seed: seed of the generator.

    Returns:
        Weights by name.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for network, layers in LAYERS.items():
        for index, (inputs, outputs, size) in enumerate(layers):
            w = torch.randn(outputs, inputs, size, size, generator=generator)
            weights[f"{network}.{index}.weight"] = w * (2 / (inputs * size * size)) ** 0.5
            weights[f"{network}.{index}.bias"] = torch.zeros(outputs)
    return weights


def _network(weights: Weights, network: str, x: Tensor) -> Tensor:
    last = len(LAYERS[network]) - 1
    for index, (_, _, size) in enumerate(LAYERS[network]):
        x = functional.pad(x, (size // 2,) * 4, "replicate")
        x = functional.conv2d(
            x, weights[f"{network}.{index}.weight"], weights[f"{network}.{index}.bias"]
        )
        if index < last:
            x = x.relu()
    return x


def train(scenes: list[HdrImage], *, steps: int, seed: int = 1, views: int = 240) -> Weights:
    """Train from scratch on views of HDR scenes at many exposures.

    Uses Adam on the mean squared error of eight 64×64 windows per step. The learning rate falls
    from 2e-3 to 1e-5 along a cosine.

    Args:
        scenes: HDR images.
        steps: number of steps.
        seed: seed of weights and views.
        views: number of training pictures.

    Returns:
        Weights by name.
    """
    generator = torch.Generator().manual_seed(seed)
    pictures, bases = _pairs(scenes, views, generator)
    weights = {name: w.requires_grad_() for name, w in initial(seed).items()}
    optimiser = torch.optim.Adam(weights.values(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, 1e-5)
    side = 64
    for step in range(steps):
        chosen = torch.randint(len(pictures), (8,), generator=generator)
        y, x = torch.randint(pictures.shape[-1] - side, (2,), generator=generator).tolist()
        window = (slice(None), slice(y, y + side), slice(x, x + side))
        guide, truth = (images[chosen][:, *window] for images in (pictures, bases))
        loss = functional.mse_loss(joint_filter(weights, reduced(guide), guide), truth)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step} of {steps}: error {loss.item() ** 0.5:.4f}", flush=True)
    return {name: w.detach() for name, w in weights.items()}


def _pairs(scenes: list[HdrImage], count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Render the luma of random shots, B×1×128×128, and compute their base layers."""
    pictures, bases = [], []
    for _ in range(count):
        yaw, pitch, x, y, zoom, stops, pick = torch.rand(7, generator=generator).tolist()
        aim = Aim(yaw=2 * math.pi * yaw, pitch=0.6 * (pitch - 0.5), x=x, y=y, zoom=0.4 + 0.6 * zoom)
        radiance = view(scenes[int(pick * len(scenes))], aim, 128, 128)[None, :3].clamp_min(0)
        exposed = radiance * metered_exposure(radiance) * 2 ** (6 * stops - 3.5)
        coded = display_codes(exposed.clamp(0, 1))[0].permute(1, 2, 0).numpy().astype(np.float32)
        picture = luma(coded)
        pictures.append(torch.from_numpy(picture)[None])
        bases.append(torch.from_numpy(base(picture))[None])
    return torch.stack(pictures), torch.stack(bases)


def _main() -> None:
    from drht_plugin.training.scenes import load_scenes

    parser = argparse.ArgumentParser(
        prog="python -m drht_plugin.evaluation.methods.djf",
        description="Train the smoother of the compared method DJF on free HDR scenes.",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder or pack of HDR scenes")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--steps", type=int, default=700, help="700 take 5 minutes of one core")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.steps < 1:
        raise InputError(f"--steps {arguments.steps}: expected at least 1")
    scenes = load_scenes(arguments.data, free_only=True)
    weights = train(scenes, steps=arguments.steps, seed=arguments.seed)
    store(weights, arguments.out, {"steps": str(arguments.steps), "seed": str(arguments.seed)})


if __name__ == "__main__":
    _main()
