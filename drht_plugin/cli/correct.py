"""`drht correct`: correct picture files."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drht_plugin.cli.exits import FAILED, OK, print_error
from drht_plugin.cli.options import add_backend_option, add_model_options, fraction
from drht_plugin.errors import FileError, InputError

if TYPE_CHECKING:
    from drht_plugin.engine.corrector import Corrector

_NOISY = 2.0
"""Lifted noise above which `--detail network` is suggested, in 8-bit codes."""

_DESCRIPTION = """\
Correct over- and under-exposed picture files.

The result keeps the picture's format, bit depth, alpha, colour profile, EXIF, XMP, resolution and
orientation. The orientation tag and the colour profile are taken into account. A picture that is
already well exposed is left unchanged.
"""

_EXAMPLES = """\
examples:
  drht correct dark.jpg                     write dark-corrected.jpg beside it
  drht correct *.tif --output corrected/    write all results into a folder, under the same names
  drht correct a.jpg --output b.png         write one file; its extension sets the format
  drht correct dark.jpg --shadows 0.6       lift the shadows less
  drht correct sky.png --hdr                also write the HDR estimate, sky-hdr.exr
  drht correct pano.tif --resume            correct a very large file; if it is interrupted, the
                                            same command continues where it stopped

exit codes:
  0    all pictures were corrected
  1    some pictures failed; each is named, and the others were corrected
  2    an argument is wrong; nothing was done
  130  interrupted
"""


def add_command(commands: Any) -> None:
    """Add `correct` to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "correct",
        help="correct over- and under-exposed picture files",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="PICTURE", help="picture file to correct"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="where to write: a file (for one picture) or a folder "
        "(default: NAME-corrected.EXT beside each picture)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace results that already exist"
    )
    parser.add_argument(
        "--strength",
        type=fraction,
        default=1.0,
        help="share of the correction to apply, from 0 (none) to 1 (all, the default)",
    )
    parser.add_argument(
        "--shadows",
        type=fraction,
        default=1.0,
        help="share to apply where the picture gets brighter, 0 to 1 (default: 1)",
    )
    parser.add_argument(
        "--highlights",
        type=fraction,
        default=1.0,
        help="share to apply where the picture gets darker, 0 to 1 (default: 1)",
    )
    parser.add_argument(
        "--detail",
        choices=("auto", "guided", "network"),
        default="auto",
        help="where fine detail comes from. guided: from the input; fast. network: from a network "
        "at full resolution, which also reduces noise and banding in lifted shadows; about "
        "fifty times slower. auto (default): guided, with a hint when network would help",
    )
    parser.add_argument(
        "--transfer",
        choices=("srgb", "linear"),
        help="how the values are encoded (default: linear for OpenEXR and Radiance files, srgb "
        "for all others)",
    )
    parser.add_argument(
        "--wrap",
        action="store_true",
        help="treat the picture as a 360° panorama, whose left and right edges meet",
    )
    parser.add_argument(
        "--hdr",
        action="store_true",
        help="also write the estimated scene radiance as NAME-hdr.exr (linear; 1.0 is where the "
        "input clips)",
    )
    parser.add_argument(
        "--quality",
        type=int,
        help="quality for lossy formats, 1 to 100 (default: that of the source)",
    )
    parser.add_argument("--threads", type=int, help="CPU threads to use (default: all cores)")
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="memory for pixel buffers, such as 512M or 2G; the networks and libraries need about "
        "500 MB more (default: 96M, but pictures of up to 128M are held whole)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="save finished rows in .NAME.drht-resume beside the result until it is complete, and "
        "continue from the rows that an interrupted run saved",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a line of JSON for each picture, with timings in seconds",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="do not print progress or the names of results"
    )
    add_model_options(parser)
    add_backend_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `drht correct`.

    Args:
        options: the parsed arguments, see `add_command`.

    Returns:
        The exit code: 0, or 1 if some pictures failed.

    Raises:
        InputError: an argument is wrong; no picture has been touched.
    """
    from drht_plugin.engine.corrector import Corrector
    from drht_plugin.engine.memory import parse_memory

    parse_memory(options.memory)
    targets = [_target(source, options) for source in options.inputs]
    doubles = sorted({str(t) for t in targets if targets.count(t) > 1})
    if doubles:
        raise InputError(f"several pictures would be written to {', '.join(doubles)}")
    corrector = Corrector(
        model=options.model,
        device=options.device,
        threads=options.threads,
        backend=options.backend,
    )
    _ = corrector.runner  # load now, so that a wrong model or device fails before any picture
    if sys.stderr.isatty() and not options.quiet and corrector.compiles_kernels:
        print(
            "drht: compiling kernels, on the first run only; `drht warm-up` does it ahead",
            file=sys.stderr,
        )
    failures = 0
    for source, target in zip(options.inputs, targets, strict=True):
        try:
            _correct_one(source, target, corrector, options)
        except (FileError, InputError) as error:
            failures += 1
            print_error(error)
    if failures and len(targets) > 1:
        print(f"drht: {failures} of {len(targets)} pictures failed", file=sys.stderr)
    return FAILED if failures else OK


def _target(source: Path, options: argparse.Namespace) -> Path:
    """Return the path that the result of one picture is written to."""
    output: Path | None = options.output
    if output is None:
        return source.with_name(f"{source.stem}-corrected{source.suffix}")
    if output.is_dir() or len(options.inputs) > 1 or not output.suffix:
        return output / source.name
    return output


def _correct_one(
    source: Path, target: Path, corrector: Corrector, options: argparse.Namespace
) -> None:
    """Correct one picture and print what was done."""
    from tqdm import tqdm

    from drht_plugin.file_correction import correct_file

    if target.exists() and not options.overwrite:
        same = source.exists() and target.samefile(source)
        why = "is the picture itself" if same else "already exists"
        raise FileError(f"{target}: {why}; --overwrite replaces it")
    if options.output is not None and not target.parent.exists():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{target.parent}: cannot be created: {error.strerror}") from error
    silent = options.quiet or options.json or not sys.stderr.isatty()
    with tqdm(total=100, desc=source.name, unit="%", leave=False, disable=silent) as bar:
        report = correct_file(
            source,
            target,
            corrector=corrector,
            hdr=target.with_name(f"{source.stem}-hdr.exr") if options.hdr else None,
            strength=options.strength,
            shadows=options.shadows,
            highlights=options.highlights,
            detail=options.detail,
            transfer=options.transfer,
            wrap=options.wrap,
            quality=options.quality,
            memory=options.memory,
            resume=options.resume,
            progress=lambda share: bar.update(int(100 * share) - bar.n),
        )
    if options.json:
        print(json.dumps(asdict(report)), flush=True)
    elif not options.quiet:
        if report.dropped:
            print(f"drht: {source}: not kept: {', '.join(report.dropped)}", file=sys.stderr)
        unchanged = " (well exposed, left unchanged)" if report.left_alone else ""
        print(f"{source} -> {target}{unchanged}", flush=True)
        lifted = options.strength * options.shadows * report.lifted_noise
        noisy = lifted > _NOISY and not report.left_alone
        if options.detail == "auto" and noisy and corrector.has_detail:
            print(
                f"{source}: lifted shadows have noise of about {lifted:.0f} of 255 codes; "
                "--detail network reduces it",
                file=sys.stderr,
            )
        if report.hdr:
            print(f"{source} -> {report.hdr}", flush=True)
