"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def unit(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add --model and --device."""
    parser.add_argument(
        "--model", default="default", help="shipped model or a .safetensors file (default: default)"
    )
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)"
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add what every training is told."""
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        help="folder of .exr, .hdr, .jpg or .png images, or a pack",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, help="training time (default: the recipe's)")
    parser.add_argument("--seed", type=int, help="of all that is drawn (default: the recipe's)")
    parser.add_argument("--validation", type=Path, help="folder or pack to watch, not trained on")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument(
        "--report", type=float, default=120.0, help="seconds between reports (default: 120)"
    )
    add_device(parser)


_Recipe = TypeVar("_Recipe", bound="DataclassInstance")


def chosen_recipe(
    recipes: Mapping[str, _Recipe], options: argparse.Namespace, names: Sequence[str]
) -> _Recipe:
    """The recipe that the options name, with what they say of it."""
    given = {name: getattr(options, name) for name in names}
    said = {name: value for name, value in given.items() if value is not None}
    return replace(recipes[options.recipe], **said)
