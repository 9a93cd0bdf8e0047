"""`drht correct`: correct picture files."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drht_plugin.bridge.sharing import usable_cores
from drht_plugin.cli import dry_run
from drht_plugin.cli.batch import Batch, default_jobs
from drht_plugin.cli.compare import add_compare_option, require_page, write_compared
from drht_plugin.cli.controls import add_control_options
from drht_plugin.cli.exits import FAILED, USAGE
from drht_plugin.cli.giants import are_giants, correct_giants
from drht_plugin.cli.inputs import STDIN, open_inputs
from drht_plugin.cli.limits import require_address_space
from drht_plugin.cli.options import (
    add_backend_option,
    add_model_options,
    add_scheduler_option,
    add_ultra_hdr_option,
    block_side,
    jobs_number,
    quality,
)
from drht_plugin.cli.outputs import Job, Results, plan_jobs
from drht_plugin.cli.progress import Progress, terminal
from drht_plugin.cli.signals import check_stopped
from drht_plugin.cli.streams import Output
from drht_plugin.cli.targets import STDOUT, add_target_options, naming_of, require_naming
from drht_plugin.cli.telling import Tally, tell
from drht_plugin.cli.work import Work, cost_of, count_pixels
from drht_plugin.errors import ClusterError, InputError
from drht_plugin.storage import scratch_folder, temporary_folder

if TYPE_CHECKING:
    from drht_plugin.cli.cluster_batch import ClusterBatch
    from drht_plugin.engine.corrector import Corrector
    from drht_plugin.file_correction import FileReport

    Opener = Callable[
        [Sequence[Job], argparse.Namespace, Callable[[Job], bool], Progress],
        AbstractContextManager[tuple[Batch | ClusterBatch, bool]],
    ]

_DESCRIPTION = """\
Correct over- and under-exposed picture files.

The result keeps the picture's format, bit depth, alpha, colour profile, EXIF, XMP, resolution and
orientation. The orientation tag and the colour profile are taken into account. A picture that is
already well exposed is left unchanged.
"""

_FIRST_STEPS = """\
usage: drht correct [options] PICTURE ...

  drht correct dark.jpg                     write dark-corrected.jpg beside it
  drht correct photos/ -o corrected/        correct the pictures of a folder into another one
  drht correct dark.tif --format jpeg       write a JPEG, whatever the picture is

`drht correct --help` explains all options."""

_EXAMPLES = """\
examples:
  drht correct dark.jpg                     write dark-corrected.jpg beside it
  drht correct *.tif --output corrected/    write all results into a folder, under the same names
  drht correct photos/ --recursive --output corrected/
                                            all pictures of a folder and of those in it
  drht correct a.jpg --output b.png         write one file; its extension sets the format
  drht correct *.tif --format jpeg -o web/  write JPEGs: 16 bits are dithered to 8
  drht correct *.jpg -o out/ --skip-existing
                                            go on with those that have no result yet
  drht correct - -o - --format png          from stdin to stdout
  drht correct dark.jpg --shadows 0.6       lift the shadows less
  drht correct dark.jpg --exposure 0.5 --temperature 15
                                            then make it brighter by half a stop, and warmer
  drht correct sky.png --hdr                also write the HDR estimate, sky-hdr.exr
  drht correct *.jpg --compare page/        also write a page to look at them, before and after
  drht correct sky.jpg --ultra-hdr          also shine on HDR screens, by a gain map in the JPEG
  drht correct pano.tif --resume            correct a very large file; if it is interrupted, the
                                            same command continues where it stopped
  drht correct pano.zarr -o out.zarr        from Zarr or TIFF to OME-Zarr, in blocks: a giant
                                            that may lie in an object store, by a cluster
  drht correct photos/ -r -o out/ --scheduler tcp://10.0.0.1:8786
                                            on a cluster of dask; local:4 starts 4 processes

exit codes:
  0    all pictures were corrected
  1    some pictures failed; each is named, and the others were corrected. Or stdout failed,
       or the scheduler was lost
  2    an argument is wrong, or no scheduler answers; nothing was done
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
        nargs="*",
        metavar="PICTURE",
        help="picture file to correct; a folder stands for the pictures in it, - for stdin",
    )
    parser.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help="also take pictures from the folders in a folder, and keep these under the output",
    )
    add_target_options(parser)
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
        help="quality for lossy formats, 1 to 100 (default: that of the source, or what keeps its "
        "size; 95 where a lossless picture has to become lossy)",
    )
    parser.add_argument(
        "--threads", type=int, help="CPU threads to use, 1 or more (default: all cores)"
    )
    parser.add_argument(
        "--jobs",
        type=jobs_number,
        metavar="N",
        help="pictures to work on at once, 1 to 64; results and the order of lines are the same "
        "(default: by cores, 3 on two and 4 on more; 1 with network detail or an accelerator)",
    )
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="memory for pixel buffers, such as 512M or 2G; the networks and libraries need about "
        "500 MB more (default: 96M, but pictures of up to 128M are held whole)",
    )
    parser.add_argument(
        "--block",
        type=block_side,
        default=2048,
        metavar="SIDE",
        help="side of the blocks of a picture in Zarr, which are the result's shards: a power of "
        "two (default: 2048)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="save finished rows in .NAME.drht-resume beside the result until it is complete, and "
        "continue from the rows that an interrupted run saved; in Zarr, note finished blocks",
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
        help="print a line of JSON for each picture, with timings in seconds, or with its error; "
        "of several pictures, a last line sums up",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="do not print progress or the names of results"
    )
    add_model_options(parser)
    add_backend_option(parser)
    add_scheduler_option(parser)
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
    if not options.inputs:
        print(_FIRST_STEPS, file=sys.stderr)
        return USAGE
    require_address_space()
    if are_giants(options):
        return correct_giants(options)
    from drht_plugin.engine.memory import parse_memory

    parse_memory(options.memory)
    naming = naming_of(options)
    _require_for_cluster(options)
    with ExitStack() as files:
        sources = files.enter_context(
            open_inputs(
                options.inputs,
                recursive=options.recursive,
                output=options.output,
                endings=naming.endings,
            )
        )
        require_naming(naming, sources)
        jobs = plan_jobs(sources, naming, hdr=options.hdr, overwrite=options.overwrite)
        require_page(options, jobs)
        if options.output == STDOUT:
            folder = files.enter_context(scratch_folder(temporary_folder()))
            jobs = [replace(job, target=folder / job.target.name) for job in jobs]
        return _correct_all(jobs, options)


def _correct_all(jobs: Sequence[Job], options: argparse.Namespace) -> int:
    """Correct pictures, and return the exit code; see `run`."""
    output = Output(beside=options.output == STDOUT)
    if options.dry_run:
        return dry_run.tell(jobs, options, output)
    begun = time.monotonic()
    quiet = options.quiet or options.json
    progress = Progress([_file_size(job) for job in jobs], None if quiet else terminal())
    results, tally = Results(overwrite=options.overwrite), Tally()
    there: list[Job] = []

    def admit(job: Job) -> bool:
        if options.skip_existing and results.exist(job):
            return True
        results.require_free(job)
        return False

    open_batch: Opener = _batch_here if options.scheduler is None else _batch_on_cluster
    with ExitStack() as opened:
        batch, network = opened.enter_context(open_batch(jobs, options, admit, progress))
        for outcome in opened.enter_context(closing(batch.run(jobs))):
            if outcome.report is not None:
                results.add(outcome.job)
            if outcome.report is not None or outcome.skipped:
                there.append(outcome.job)
            progress.finish(outcome.index, worked=not outcome.skipped)
            progress.clear()
            tally.add(outcome)
            tell(outcome, output, options, network=network)
    if options.output == STDOUT and there:
        output.picture(there[0].target)
    if len(jobs) > 1:
        tally.tell(output, options, time.monotonic() - begun)
    compared = write_compared(options, there)
    return FAILED if tally.failed or output.failed else compared


@contextmanager
def _batch_here(
    jobs: Sequence[Job],
    options: argparse.Namespace,
    admit: Callable[[Job], bool],
    progress: Progress,
) -> Iterator[tuple[Batch, bool]]:
    """Yield the batch in this process, and whether the model has a network for detail."""
    progress.say("loading networks")
    corrector, how = _loaded(jobs, options), Work.of(options)

    def work(index: int, job: Job) -> FileReport:
        def share(done: float) -> None:
            check_stopped()
            progress.share(index, done)

        def stage(doing: str) -> None:
            check_stopped()
            progress.stage(index, doing, job.source)

        report = how.correct(job, corrector, progress=share, stage=stage)
        target = str(options.output) if options.output == STDOUT else report.target
        return replace(report, source=job.source, target=target)

    batch = Batch(work, admit, cost_of, _workers(len(jobs), corrector, options))
    yield batch, corrector.has_detail


@contextmanager
def _batch_on_cluster(
    jobs: Sequence[Job],
    options: argparse.Namespace,
    admit: Callable[[Job], bool],
    progress: Progress,
) -> Iterator[tuple[ClusterBatch, bool]]:
    """Yield the batch on the cluster of --scheduler; see `_batch_here`."""
    from drht_plugin.cli.cluster_batch import open_cluster_batch

    try:
        with open_cluster_batch(jobs, options, admit, progress) as opened:
            yield opened
    except ClusterError as error:
        error.add_note("results that are there stay; --skip-existing goes on with the others")
        raise
    finally:
        progress.clear()


def _loaded(jobs: Sequence[Job], options: argparse.Namespace) -> Corrector:
    """Return a corrector with its networks, so that a wrong model fails before any picture."""
    from drht_plugin.engine.weigh import Correctors

    correctors = Correctors(options.model, options.device, options.threads, options.backend)
    pixels = count_pixels(jobs) if correctors.weighs else 0
    corrector = correctors.for_work(pixels, options.detail)
    _ = corrector.runner
    if options.detail == "network":
        _ = corrector.detail_runners
    return corrector


def _workers(count: int, corrector: Corrector, options: argparse.Namespace) -> int:
    """Return how many pictures are worked on at once.

    Network detail uses all cores by itself, and much memory.
    """
    if options.jobs is None:
        alone = options.detail == "network" or corrector.on_accelerator
        return 1 if alone else min(count, default_jobs(usable_cores()))
    return min(count, int(options.jobs))


def _require_for_cluster(options: argparse.Namespace) -> None:
    """Refuse what a cluster has not: standard streams, and a number of pictures at once."""
    if options.scheduler is None:
        return
    for name in options.inputs:
        if name == STDIN:
            raise InputError("--scheduler needs files that all workers reach; - is stdin")
    if options.output == STDOUT:
        raise InputError("--scheduler needs files that all workers reach; --output is -, stdout")
    if options.jobs is not None:
        raise InputError(
            "--jobs is for this process; with --scheduler each thread of a worker takes a picture"
        )


def _file_size(job: Job) -> int:
    try:
        return os.stat(job.path).st_size
    except (OSError, ValueError):
        return 0
