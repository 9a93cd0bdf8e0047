"""`drht pack`: folders of images to one file to train from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from drht_plugin.cli.exits import OK


def add_command(commands: Any) -> None:
    """Add the command to the parser's sub-commands."""
    parser = commands.add_parser(
        "pack",
        help="put folders of images into one small file to train from",
        description="Put folders of HDR images and photographs into one file, about 200 kB an HDR "
        "image of 1024×512 and photographs as they are, which `drht train` reads with no more than "
        "torch, safetensors and OpenCV. Images whose licence is unsure are left out.",
    )
    parser.add_argument(
        "data", type=Path, nargs="+", help="folder of .exr, .hdr, .jpg or .png images"
    )
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument(
        "--rate",
        type=int,
        default=60,
        help="size of HDR images in thousandths of 16 bits (default: 60)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from drht_plugin.training.scenes import pack

    count = pack(options.data, options.out, compression=options.rate)
    print(f"{count} scenes -> {options.out}")
    return OK
