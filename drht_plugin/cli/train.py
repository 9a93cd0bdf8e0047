"""`drht train`: both networks on HDR images."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from drht_plugin.cli.exits import OK
from drht_plugin.cli.options import add_run, chosen_recipe
from drht_plugin.errors import InputError


def add_command(commands: Any) -> None:
    """Add the command to the parser's sub-commands."""
    parser = commands.add_parser(
        "train",
        help="train both networks on HDR images",
        description="Train both networks jointly on views of HDR images, taken by a virtual camera "
        "with wrong exposures. Writes checkpoint.pt, log.csv, validation.csv, log.png, sheet.png "
        "and at the end weights.safetensors with weights.json, for --model. The model card of the "
        "shipped weights says how they were made.",
    )
    add_run(parser)
    parser.add_argument(
        "--recipe",
        choices=("default", "gpu", "paper"),
        default="default",
        help="default: fresh weights, 85 minutes; gpu: on from the shipped weights, 8 minutes on a "
        "large GPU, with photographs and pages beside HDR images, as the shipped ones were made; "
        "paper: the networks, losses and rate of Yang et al. 2018, without our additions",
    )
    parser.add_argument(
        "--architecture",
        help="drht-d-2 (shipped), drht-d-1 (without gains), drht-p2-2 (half the cost), drht-wide-2 "
        "(twice), drht-paper-1",
    )
    parser.add_argument(
        "--start",
        help="model name or .safetensors file to begin from (default: fresh weights; gpu: default)",
    )
    parser.add_argument("--learning-rate", type=float, help="peak (default: 2e-3; paper: 1e-2)")
    parser.add_argument(
        "--megapixels", type=float, help="size of a batch (default: 0.3; gpu: 3.93)"
    )
    parser.add_argument(
        "--term",
        action="append",
        default=[],
        metavar="NAME=WEIGHT",
        help="a term of the loss and its weight, in place of the recipe's; 0 leaves it out",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
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
    """A term of the loss as NAME=WEIGHT."""
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise InputError(f"--term is {text!r}; expected NAME=WEIGHT") from None
