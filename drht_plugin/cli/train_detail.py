"""`drht train-detail`: train the detail network."""

from __future__ import annotations

import argparse
from typing import Any

from drht_plugin.cli.exits import OK
from drht_plugin.cli.options import add_training_options, chosen_recipe


def add_command(commands: Any) -> None:
    """Add `train-detail` to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "train-detail",
        help="train the network behind `--detail network` on HDR images",
        description="Train the network behind `drht correct --detail network` on crops of pictures "
        "taken by a virtual camera, each with a model's survey of the whole picture. Writes "
        "checkpoint.pt, log.csv and validation.csv during training, and weights-detail.safetensors "
        "with weights-detail.json at the end. To use them with the model NAME.safetensors, put "
        "them beside it as NAME-detail.safetensors and NAME-detail.json. The model card of the "
        "shipped weights says how they were made.",
    )
    add_training_options(parser)
    parser.add_argument(
        "--model",
        default="default",
        help="model that surveys the pictures: a shipped one or a .safetensors file (default: "
        "default)",
    )
    parser.add_argument(
        "--recipe",
        choices=("default", "gpu"),
        default="default",
        help="default: train from scratch, 60 minutes on a CPU. gpu: fine-tune the shipped weights "
        "for 6 minutes on a large GPU; set --workers too",
    )
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help="model whose detail network to start from (default: random weights; gpu: default)",
    )
    parser.add_argument("--learning-rate", type=float, help="peak learning rate (default: 1.5e-3)")
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="background processes that render training pictures (default: 0, none)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `drht train-detail` and print the path of the weights.

    Args:
        options: the parsed arguments, see `add_command`.

    Returns:
        The exit code, 0.

    Raises:
        DrhtError: see `drht_plugin.training.detail_loop.train_detail`.
    """
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
