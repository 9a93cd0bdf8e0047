"""`drht correct`: correct picture files."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drht_plugin.cli.compare import add_compare_option, require_page, write_compared
from drht_plugin.cli.controls import add_control_options, control_values, strength_of
from drht_plugin.cli.exits import FAILED, describe, print_note, printable
from drht_plugin.cli.inputs import open_inputs
from drht_plugin.cli.limits import require_address_space
from drht_plugin.cli.options import (
    add_backend_option,
    add_model_options,
    add_ultra_hdr_option,
    quality,
)
from drht_plugin.cli.outputs import Job, Results, plan_jobs
from drht_plugin.cli.signals import check_stopped
from drht_plugin.cli.streams import Output
from drht_plugin.errors import DrhtError, InputError

if TYPE_CHECKING:
    from drht_plugin.engine.corrector import Corrector
    from drht_plugin.file_correction import FileReport

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
  drht correct photos/ --recursive --output corrected/
                                            all pictures of a folder and of those in it
  drht correct a.jpg --output b.png         write one file; its extension sets the format
  drht correct dark.jpg --shadows 0.6       lift the shadows less
  drht correct dark.jpg --exposure 0.5 --temperature 15
                                            then make it brighter by half a stop, and warmer
  drht correct sky.png --hdr                also write the HDR estimate, sky-hdr.exr
  drht correct *.jpg --compare page/        also write a page to look at them, before and after
  drht correct sky.jpg --ultra-hdr          also shine on HDR screens, by a gain map in the JPEG
  drht correct pano.tif --resume            correct a very large file; if it is interrupted, the
                                            same command continues where it stopped

exit codes:
  0    all pictures were corrected
  1    some pictures failed; each is named, and the others were corrected. Or stdout failed
  2    an argument is wrong; nothing was done
  130  interrupted (129: the terminal was closed; 143: terminated)
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
        "inputs",
        nargs="+",
        metavar="PICTURE",
        help="picture file to correct; a folder stands for the pictures in it, - for stdin",
    )
    parser.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help="also take pictures from the folders in a folder, and keep these under the output",
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
    add_control_options(parser)
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
    add_compare_option(parser)
    add_ultra_hdr_option(parser)
    parser.add_argument(
        "--quality",
        type=quality,
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
        "--damaged",
        choices=("refuse", "keep"),
        default="refuse",
        help="what to do with a picture that is damaged or ends early. refuse (default): report it "
        "and go on with the next. keep: correct what can be read of it, and say so",
    )
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="layer to correct of OpenEXR files that have several, such as diffuse",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a line of JSON for each picture, with timings in seconds, or with its error",
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
    require_address_space()
    from drht_plugin.engine.memory import parse_memory

    parse_memory(options.memory)
    _require_output(options)
    with open_inputs(options.inputs, recursive=options.recursive, output=options.output) as sources:
        jobs = plan_jobs(
            sources,
            options.output,
            hdr=options.hdr,
            overwrite=options.overwrite,
            ultra_hdr=bool(options.ultra_hdr),
        )
        return _correct_all(jobs, options)


def _correct_all(jobs: Sequence[Job], options: argparse.Namespace) -> int:
    """Correct pictures one after the other, and return the exit code; see `run`."""
    from drht_plugin.engine.weigh import Correctors

    require_page(options, jobs)
    correctors = Correctors(options.model, options.device, options.threads, options.backend)
    pixels = _count_pixels([job.path for job in jobs]) if correctors.weighs else 0
    corrector = correctors.for_work(pixels, options.detail)
    _ = corrector.runner  # load now, so that a wrong model or device fails before any picture
    if options.detail == "network":
        _ = corrector.detail_runners
    if sys.stderr.isatty() and not options.quiet and corrector.compiles_kernels:
        print_note("compiling kernels, on the first run only; `drht warm-up` does it ahead")
    output, results = Output(), Results(overwrite=options.overwrite)
    failures, corrected = 0, []
    for job in jobs:
        check_stopped()
        try:
            results.require_free(job)
            report = _correct_one(job, corrector, options)
            results.add(job)
            corrected.append(job)
        except Exception as error:
            failures += 1
            _print_failure(job, error, output, options)
        else:
            _print_result(job, report, output, options, network=corrector.has_detail)
    if failures and len(jobs) > 1:
        print_note(f"{failures} of {len(jobs)} pictures failed")
    compared = write_compared(options, corrected)
    return FAILED if failures or output.failed else compared


def _count_pixels(sources: Sequence[str]) -> int:
    """Estimate the pixels of all pictures by the first one that can be opened."""
    from drht_plugin.engine.weigh import count_pixels
    from drht_plugin.io import open_picture

    for source in sources:
        with suppress(DrhtError, OSError), open_picture(source) as picture:
            return len(sources) * count_pixels(picture)
    return 0


def _require_output(options: argparse.Namespace) -> None:
    """Refuse a suffix that is not written, before any work."""
    output: Path | None = options.output
    several = len(options.inputs) > 1 or os.path.isdir(options.inputs[0])
    if output is None or not output.suffix or several or output.is_dir():
        return
    from drht_plugin.io import is_jpeg_name, writable_suffixes

    if options.ultra_hdr and not is_jpeg_name(output):
        raise InputError(f"{output}: an Ultra HDR picture is a JPEG; expected NAME.jpg")
    if output.suffix.lower() not in writable_suffixes():
        known = ", ".join(sorted(writable_suffixes()))
        raise InputError(f"{output}: suffix '{output.suffix}' is not written; these are: {known}")


def _correct_one(job: Job, corrector: Corrector, options: argparse.Namespace) -> FileReport:
    """Correct one picture."""
    from drht_plugin.file_correction import correct_file

    if options.output is not None and not job.target.parent.exists():
        job.target.parent.mkdir(parents=True, exist_ok=True)
    with _progress_bar(job, options) as progress:
        report = correct_file(
            job.path,
            job.target,
            corrector=corrector,
            hdr=job.hdr,
            ultra_hdr=options.ultra_hdr,
            **control_values(options),
            detail=options.detail,
            transfer=options.transfer,
            wrap=options.wrap,
            quality=options.quality,
            memory=options.memory,
            resume=options.resume,
            damaged=options.damaged,
            layer=options.layer,
            progress=progress,
        )
    return replace(report, source=job.source)


@contextmanager
def _progress_bar(job: Job, options: argparse.Namespace) -> Iterator[Callable[[float], None]]:
    """Show a picture's progress on a terminal; also a chance to stop."""
    from tqdm import tqdm

    silent = options.quiet or options.json or not sys.stderr.isatty()
    name = printable(Path(job.source).name)
    with tqdm(total=100, desc=name, unit="%", leave=False, disable=silent) as bar:

        def progress(share: float) -> None:
            check_stopped()
            bar.update(int(100 * share) - bar.n)

        yield progress


def _print_failure(job: Job, error: Exception, output: Output, options: argparse.Namespace) -> None:
    """Print what went wrong with one picture, named as given."""
    text, name = describe(error), Path(job.source).name
    if text.startswith(f"{name}: "):  # the library names a file without its folder
        text = f"{job.source}{text[len(name) :]}"
    elif not text.startswith(f"{job.source}: "):
        text = f"{job.source}: {text}"
    print_note(text)
    for note in getattr(error, "__notes__", ()):
        print_note(note)
    if options.json:
        facts = {"source": job.source, "target": str(job.target)}
        output.line(json.dumps({**facts, "error": text, "kind": type(error).__name__}))


def _print_result(
    job: Job,
    report: FileReport,
    output: Output,
    options: argparse.Namespace,
    *,
    network: bool,
) -> None:
    """Print what was done with one picture; `network`: whether network detail is there."""
    from drht_plugin.engine.plan import NOISY

    if options.json:
        output.line(json.dumps(asdict(report)))
        return
    if options.quiet:
        return
    source = printable(job.source)
    if report.dropped:
        print_note(f"{source}: not kept: {', '.join(report.dropped)}")
    applied = strength_of(options)
    unchanged = ""
    if report.left_alone:
        unchanged = f" (well exposed, {'not corrected' if applied.touches else 'left unchanged'})"
    shines = "" if report.headroom is None else f" (Ultra HDR, {report.headroom:.1f} stops)"
    output.line(f"{source} -> {printable(report.target)}{unchanged}{shines}")
    lifted = applied.strength * applied.shadows * report.lifted_noise
    noisy = lifted >= NOISY and not report.left_alone
    guided = options.detail == "auto" and report.detail == "guided"
    if guided and noisy and network:
        with suppress(OSError):
            print(
                f"{source}: lifted shadows have noise of about {lifted:.0f} of 255 codes; "
                "--detail network reduces it",
                file=sys.stderr,
            )
    if report.hdr:
        output.line(f"{source} -> {printable(report.hdr)}")
