"""`drht pack`: pack folders of images into one file for training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from drht_plugin.cli.exits import OK


def add_command(commands: Any) -> None:
    """Add `pack` to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "pack",
        help="pack folders of images into one small file for training",
        description="Pack folders of HDR images and photographs into one file for `drht train`. "
        "HDR images are compressed, to about 200 kB for 1024×512 pixels; photographs are stored "
        "unchanged. Training from a pack needs only torch, safetensors and OpenCV. Images whose "
        "manifest entry has licence_confidence = low are left out.",
    )
    parser.add_argument(
        "data", type=Path, nargs="+", help="folder of .exr, .hdr, .jpg or .png images"
    )
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument(
        "--rate",
        type=int,
        default=60,
        help="compressed size of HDR images, in thousandths of 16 bits per channel (default: 60)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `drht pack`.

    Args:
        options: the parsed arguments, see `add_command`.

    Returns:
        The exit code, 0.

    Raises:
        DrhtError: see `drht_plugin.training.scenes.pack`.
    """
    from drht_plugin.training.scenes import pack

    count = pack(options.data, options.out, compression=options.rate)
    print(f"{count} scenes -> {options.out}")
    return OK
