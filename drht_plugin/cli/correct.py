"""`drht correct`: picture files to corrected picture files."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drht_plugin.cli.exits import FAILED, OK, tell
from drht_plugin.cli.options import add_model, unit
from drht_plugin.errors import FileError, InputError

if TYPE_CHECKING:
    from drht_plugin.engine.corrector import Corrector

_NOISY = 2.0
"""Codes of 255 of lifted noise from which on network detail gains most, see docs/experiments.md."""

_EXAMPLES = """\
examples:
  drht correct dark.jpg                        writes dark-corrected.jpg beside it
  drht correct *.tif --output corrected/       a folder of results, each under its own name
  drht correct a.jpg --output b.png            one file, format by its name
  drht correct dark.jpg --shadows 0.6          a gentler lift
  drht correct sky.png --hdr                   also writes the HDR estimate, sky-hdr.exr
  drht correct pano.tif --resume               a gigapixel; if it is stopped, the same again goes on

Exit codes: 0 all done, 1 some file could not be corrected (each is named, the others are done),
2 an argument is wrong and nothing was done, 130 interrupted.
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser's sub-commands."""
    parser = commands.add_parser(
        "correct",
        help="correct picture files",
        description="Correct picture files. Format, bit depth, alpha, colour profile, EXIF, XMP, "
        "resolution and orientation stay as they are. The networks see a picture upright and in "
        "sRGB, as its orientation tag and its profile say.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="file (for one picture) or folder; default: NAME-corrected.EXT beside each picture",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument(
        "--strength", type=unit, default=1.0, help="how much is applied, 0 to 1 (default: 1)"
    )
    parser.add_argument(
        "--shadows", type=unit, default=1.0, help="of it where the picture gets brighter"
    )
    parser.add_argument(
        "--highlights", type=unit, default=1.0, help="of it where the picture gets darker"
    )
    parser.add_argument(
        "--detail",
        choices=("auto", "guided", "network"),
        default="auto",
        help="guided: detail from the input, tone from the networks; network: a network at full "
        "resolution also mends noise and code steps in lifted shadows, and takes some fifty times "
        "as long; auto (default) is guided, and says where the other would mend lifted noise",
    )
    parser.add_argument(
        "--transfer",
        choices=("srgb", "linear"),
        help="what the values mean (default: linear for OpenEXR and Radiance, else srgb)",
    )
    parser.add_argument("--wrap", action="store_true", help="360° panorama: left and right meet")
    parser.add_argument(
        "--hdr", action="store_true", help="also write the HDR estimate, NAME-hdr.exr (1.0 = clip)"
    )
    parser.add_argument(
        "--quality", type=int, help="of lossy formats, 1 to 100 (default: as the source's)"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="for the pixels on their way, such as 512M or 2G; networks and libraries take some "
        "500 MB beside (default: 96M, and pictures up to 128M are held)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep finished rows beside the result until it is whole, in .NAME.drht-resume, and go "
        "on from those of a run that was stopped",
    )
    parser.add_argument(
        "--json", action="store_true", help="a line of JSON for each file, with times in seconds"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, no names of results")
    add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from drht_plugin.engine.corrector import Corrector
    from drht_plugin.engine.memory import parse_memory

    parse_memory(options.memory)
    targets = [_target(source, options) for source in options.inputs]
    doubles = sorted({str(t) for t in targets if targets.count(t) > 1})
    if doubles:
        raise InputError(f"several pictures would be written to {', '.join(doubles)}")
    corrector = Corrector(model=options.model, device=options.device, threads=options.threads)
    _ = corrector.runner  # a wrong model or device stops here, before any picture
    failures = 0
    for source, target in zip(options.inputs, targets, strict=True):
        try:
            _correct_one(source, target, corrector, options)
        except (FileError, InputError) as error:
            failures += 1
            tell(error)
    if failures and len(targets) > 1:
        print(f"drht: {failures} of {len(targets)} pictures failed", file=sys.stderr)
    return FAILED if failures else OK


def _target(source: Path, options: argparse.Namespace) -> Path:
    output: Path | None = options.output
    if output is None:
        return source.with_name(f"{source.stem}-corrected{source.suffix}")
    if output.is_dir() or len(options.inputs) > 1 or not output.suffix:
        return output / source.name
    return output


def _correct_one(
    source: Path, target: Path, corrector: Corrector, options: argparse.Namespace
) -> None:
    from tqdm import tqdm

    from drht_plugin.file_correction import correct_file

    if target.exists() and not options.overwrite:
        same = source.exists() and target.samefile(source)
        why = "is the picture itself" if same else "exists already"
        raise FileError(f"{target}: {why}; --overwrite replaces it")
    if options.output is not None and not target.parent.exists():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{target.parent}: cannot be made: {error.strerror}") from error
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
        alone = " (exposed well, left as it is)" if report.left_alone else ""
        print(f"{source} -> {target}{alone}", flush=True)
        lifted = options.strength * options.shadows * report.lifted_noise
        noisy = lifted > _NOISY and not report.left_alone
        if options.detail == "auto" and noisy and corrector.has_detail:
            noise = f"noise of about {lifted:.0f} codes of 255"
            print(f"{source}: has {noise} now; --detail network mends it", file=sys.stderr)
        if report.hdr:
            print(f"{source} -> {report.hdr}", flush=True)
