"""Options that several subcommands share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from drht_plugin.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def quality(text: str) -> int:
    """Parse the quality of a lossy format.

    Args:
        text: the argument as typed.

    Returns:
        1 to 100.

    Raises:
        argparse.ArgumentTypeError: it is not a whole number from 1 to 100.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100")
    return int(text[:4])


def jobs_number(text: str) -> int:
    """Parse how many pictures are worked on at once.

    Args:
        text: the argument as typed.

    Returns:
        1 to 64.

    Raises:
        argparse.ArgumentTypeError: it is not a whole number from 1 to 64.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 64")
    return int(text[:4])


def block_side(text: str) -> int:
    """Parse the side of the blocks of a picture in Zarr.

    Args:
        text: the argument as typed.

    Returns:
        A power of two from 128 to 16384.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if text not in {str(1 << n) for n in range(7, 15)}:
        raise argparse.ArgumentTypeError(f"{text!r} is not a power of two from 128 to 16384")
    return int(text)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add --model and --device.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "--model",
        default="default",
        help="name of a shipped model, or a .safetensors file (default: default)",
    )
    add_device_option(parser)


def add_backend_option(parser: argparse.ArgumentParser) -> None:
    """Add --backend.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "--backend",
        choices=("auto", "numba", "torch"),
        default="auto",
        help="what computes each pixel: numba on the CPU, or torch on the device (default: auto, "
        "torch on an accelerator)",
    )


def add_scheduler_option(parser: argparse.ArgumentParser) -> None:
    """Add --scheduler.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "--scheduler",
        type=_scheduler,
        metavar="ADDRESS",
        help="work on a cluster of dask: tcp://HOST:PORT of its scheduler, or local:N for N "
        "processes of this machine; all workers must reach the files under the same names "
        "(default: this process)",
    )


def _scheduler(text: str) -> str:
    from drht_plugin.dask.cluster import local_processes

    try:
        local_processes(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def add_ultra_hdr_option(parser: argparse.ArgumentParser) -> None:
    """Add --ultra-hdr and --no-ultra-hdr.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "--ultra-hdr",
        action=argparse.BooleanOptionalAction,
        help="write JPEG files with a gain map, by which HDR screens show the highlights; "
        "other screens and programs show the corrected picture (default: for pictures that have a "
        "gain map themselves)",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add --device.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "--device",
        default="auto",
        help="where the networks run: auto, cpu, cuda, cuda:N or mps; several with commas share a "
        "picture (default: auto)",
    )


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every training has.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        help="training images: a folder of .exr, .hdr, .jpg or .png files, or a file made by "
        "`drht pack`",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for checkpoints, logs and weights"
    )
    parser.add_argument(
        "--minutes", type=float, help="training time in minutes (default: the recipe's)"
    )
    parser.add_argument(
        "--seed", type=int, help="seed for weights, views and noise (default: the recipe's)"
    )
    parser.add_argument(
        "--validation", type=Path, help="folder or pack of images to validate on, not to train on"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in --out from its checkpoint"
    )
    parser.add_argument(
        "--report",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="seconds between checkpoints and validations (default: 120)",
    )
    add_device_option(parser)


_Recipe = TypeVar("_Recipe", bound="DataclassInstance")


def chosen_recipe(
    recipes: Mapping[str, _Recipe], options: argparse.Namespace, names: Sequence[str]
) -> _Recipe:
    """Return the chosen recipe, with the settings that options override.

    Args:
        recipes: known recipes by name.
        options: the parsed arguments; `options.recipe` names the recipe.
        names: options that override the recipe's field of the same name unless they are None.

    Returns:
        The recipe.
    """
    values = {name: getattr(options, name) for name in names}
    overrides = {name: value for name, value in values.items() if value is not None}
    return replace(recipes[options.recipe], **overrides)
