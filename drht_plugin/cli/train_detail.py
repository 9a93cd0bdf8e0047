"""`drht train-detail`: the network of network detail."""

from __future__ import annotations

import argparse
from typing import Any

from drht_plugin.cli.exits import OK
from drht_plugin.cli.options import add_run, chosen_recipe


def add_command(commands: Any) -> None:
    """Add the command to the parser's sub-commands."""
    parser = commands.add_parser(
        "train-detail",
        help="train the network of network detail on HDR images",
        description="Train the detail network on crops of shots by a virtual camera, each with the "
        "survey that a model makes of the whole shot. Writes checkpoint.pt, log.csv, "
        "validation.csv and at the end weights-detail.safetensors with its .json. Beside "
        "NAME.safetensors and named NAME-detail.safetensors they give that model network detail. "
        "The model card of the shipped weights says how they were made.",
    )
    add_run(parser)
    parser.add_argument("--model", default="default", help="whose surveys to train with")
    parser.add_argument(
        "--recipe",
        choices=("default", "gpu"),
        default="default",
        help="default: fresh weights, 60 minutes; gpu: on from the shipped weights, 6 minutes on a "
        "large GPU with --workers",
    )
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help="whose detail network to begin from (default: fresh weights; gpu: default)",
    )
    parser.add_argument("--learning-rate", type=float, help="peak (default: 1.5e-3)")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that draw pictures (default: 0)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from drht_plugin.training.detail_loop import RECIPES, train_detail

    weights = train_detail(
        options.data,
        options.out,
        chosen_recipe(RECIPES, options, ("minutes", "seed", "start", "learning_rate")),
        workers=options.workers,
        model=options.model,
        validation=options.validation,
        device=options.device,
        resume=options.resume,
        report_seconds=options.report,
    )
    print(weights)
    return OK
