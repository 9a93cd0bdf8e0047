"""`drht train`: train the two survey networks."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from drht_plugin.cli.exits import OK
from drht_plugin.cli.options import add_training_options, chosen_recipe
from drht_plugin.errors import InputError


def add_command(commands: Any) -> None:
    """Add `train` to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "train",
        help="train the two networks (HDR estimation and LDR correction) on HDR images",
        description="Train the two networks, HDR estimation and LDR correction, jointly on badly "
        "exposed views of HDR images, taken by a virtual camera. Writes checkpoint.pt, log.csv, "
        "validation.csv, log.png and sheet.png during training, and weights.safetensors with "
        "weights.json at the end, for `drht correct --model`. The model card of the shipped "
        "weights says how they were made.",
    )
    add_training_options(parser)
    parser.add_argument(
        "--recipe",
        choices=("default", "gpu", "paper"),
        default="default",
        help="default: train from scratch, 85 minutes on a CPU. gpu: fine-tune the shipped weights "
        "for 8 minutes on a large GPU, with photographs and pages in addition to HDR images; the "
        "shipped weights were made this way. paper: networks, losses and learning rate of Yang et "
        "al. 2018, without our additions",
    )
    parser.add_argument(
        "--architecture",
        help="networks to train: drht-d-2 (shipped), drht-d-1 (without gains), drht-p2-2 (half the "
        "cost), drht-wide-2 (twice the cost) or drht-paper-1",
    )
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help="shipped model or .safetensors file to start from (default: random weights; gpu: "
        "default)",
    )
    parser.add_argument(
        "--learning-rate", type=float, help="peak learning rate (default: 2e-3; paper: 1e-2)"
    )
    parser.add_argument(
        "--megapixels", type=float, help="megapixels per batch (default: 0.3; gpu: 3.93)"
    )
    parser.add_argument(
        "--term",
        action="append",
        default=[],
        metavar="NAME=WEIGHT",
        help="set the weight of a loss term, in place of the recipe's; 0 removes the term; may be "
        "repeated",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `drht train` and print the path of the weights.

    Args:
        options: the parsed arguments, see `add_command`.

    Returns:
        The exit code, 0.

    Raises:
        DrhtError: see `drht_plugin.training.loop.train`.
    """
    from drht_plugin.training.loop import train
    from drht_plugin.training.recipes import RECIPES

    names = ("minutes", "seed", "learning_rate", "megapixels", "start", "architecture")
    recipe = chosen_recipe(RECIPES, options, names)
    loss = {**recipe.loss, **dict(_term(text) for text in options.term)}
    recipe = replace(recipe, loss={name: weight for name, weight in loss.items() if weight})
    weights = train(
        options.data,
        options.out,
        recipe,
        validation=options.validation,
        device=options.device,
        resume=options.resume,
        report_seconds=options.report,
    )
    print(weights)
    return OK


def _term(text: str) -> tuple[str, float]:
    """Parse a loss term given as NAME=WEIGHT."""
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise InputError(f"--term is {text!r}; expected NAME=WEIGHT") from None
