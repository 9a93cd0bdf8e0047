"""`drht warm-up`: compile the kernels before they are needed."""

from __future__ import annotations

import argparse
import time
from typing import Any

from drht_plugin.cli.exits import OK
from drht_plugin.cli.options import add_model_options

_SIZE = 64, 96
_DTYPES = ("uint8", "uint16", "float32", "float16")


def add_command(commands: Any) -> None:
    """Add `warm-up` to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "warm-up",
        help="compile the kernels, so that no picture waits for it",
        description="Compile the kernels for every kind of picture, and keep them in the user's "
        "cache. Without this, the first picture of each kind waits for its own: about six seconds. "
        "Run it once after an install or an update.",
    )
    parser.add_argument(
        "--dtype",
        choices=_DTYPES,
        action="append",
        help="only for pictures of this type; may be repeated (default: all)",
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `drht warm-up`.

    Args:
        options: the parsed arguments, see `add_command`.

    Returns:
        The exit code, 0.
    """
    import numpy as np

    from drht_plugin.bridge.halving import halve
    from drht_plugin.engine.corrector import Corrector

    corrector = Corrector(model=options.model, device=options.device, backend="numba")
    details = ("guided", "network") if corrector.has_detail else ("guided",)
    for dtype in options.dtype or _DTYPES:
        start = time.perf_counter()
        for channels in (1, 2, 3, 4):
            image = np.full((*_SIZE, channels), 0.25 if dtype[0] == "f" else 64, dtype)
            if channels in (2, 4):
                image[:8, :8, -1] = 0  # what is transparent has kernels of its own
            scene = corrector.survey(image)
            for detail in details:
                corrector.render(scene, image, detail=detail)
        corrector.estimate_hdr(image)
        corrector.correct(image, transfer="linear")
        corrector.correct(image, exposure=1)
        halve(image.transpose(2, 0, 1), linear=False)  # for pyramids of giants
        print(f"{dtype}: {time.perf_counter() - start:.1f} s", flush=True)
    return OK
