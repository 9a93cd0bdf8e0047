"""Options for how strongly pictures are corrected, and for the last touch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import cast

from drht_plugin.engine.strength import PRESETS, RANGES, Controls, Strength

_HELP = {
    "strength": "share of the correction to apply, from 0 to 2 (default: 1; more goes on in the "
    "same direction, as far as there is room to white or black)",
    "shadows": "share to apply where the picture gets brighter, 0 to 1 (default: 1)",
    "highlights": "share to apply where the picture gets darker, 0 to 1 (default: 1)",
    "exposure": "make the result brighter by so many EV, -3 to 3 (default: 0)",
    "temperature": "make the result warmer, or cooler below 0, -100 to 100 mired (default: 0)",
    "tint": "make the result more magenta, or greener below 0, -100 to 100 (default: 0)",
    "denoise": "how much noise to remove in network detail, from 0 to 2 (default: 1)",
}


def add_control_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each control of `Strength`, and --preset.

    Args:
        parser: the subcommand's parser.
    """
    sets = "; ".join(
        f"{name}: {', '.join(f'{control} {value:g}' for control, value in values.items())}"
        for name, values in PRESETS.items()
    )
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help=f"values that belong together; an option that is given counts instead ({sets}; "
        "default: none)",
    )
    for name, text in _HELP.items():
        parser.add_argument(f"--{name}", type=_number(*RANGES[name]), help=text)


def strength_of(options: argparse.Namespace) -> Strength:
    """Return what the options ask for.

    Args:
        options: the parsed arguments, see `add_control_options`.
    """
    return Strength.of(**control_values(options))


def control_values(options: argparse.Namespace) -> Controls:
    """Return the options as arguments of the library; None for those that are not given.

    Args:
        options: the parsed arguments, see `add_control_options`.
    """
    given = vars(options)
    return cast(Controls, {name: given[name] for name in ("preset", *RANGES)})


def _number(least: float, most: float) -> Callable[[str], float]:
    """Return a parser of a number in a range, for argparse."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return value

    return parse
