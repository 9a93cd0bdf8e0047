"""`drht compare`: a page that shows pictures before and after; and `drht correct --compare`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drht_plugin.cli.exits import FAILED, OK, describe, print_note, printable
from drht_plugin.cli.outputs import Job
from drht_plugin.cli.signals import check_stopped
from drht_plugin.cli.streams import Output
from drht_plugin.errors import InputError

if TYPE_CHECKING:
    from drht_plugin.compare import Page, Pair

_DESCRIPTION = """\
Write a page that shows pictures before and after, in a slider or side by side.

The page is a folder: open its index.html in any browser. It needs no network, and pictures of any
size open at once. Two folders are compared picture by picture: those of one name belong together,
and NAME-corrected.EXT belongs to NAME.EXT.
"""

_EXAMPLES = """\
examples:
  drht compare dark.jpg dark-corrected.jpg -o page/
  drht compare photos/ corrected/ -o page/      all pictures of two folders on one page
  drht correct *.jpg -o corrected/ --compare page/     correct, and write the page at once

NAME-hdr.exr beside the corrected picture, which `drht correct --hdr` writes, is shown too, at an
exposure that you choose.

exit codes:
  0    the page was written
  1    some pictures were left out; each is named, and the page shows the others. Or none was left
  2    an argument is wrong, or two pictures differ in size; nothing was done
  130  interrupted; nothing was written
"""


def add_command(commands: Any) -> None:
    """Add `compare` to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "compare",
        help="write a page that shows pictures before and after",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", type=Path, help="picture, or folder of pictures")
    parser.add_argument(
        "after", type=Path, help="picture of the same size, or folder of pictures of these names"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the page goes"
    )
    parser.add_argument(
        "--hdr",
        type=Path,
        help="HDR estimate to show too, or folder of the estimates (default: NAME-hdr.exr beside "
        "the picture after)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a page that is there")
    parser.add_argument(
        "--damaged",
        choices=("refuse", "keep"),
        default="refuse",
        help="what to do with a picture that is damaged or ends early. refuse (default): leave it "
        "out. keep: show what can be read of it",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="do not print progress or the name of the page"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `drht compare`.

    Args:
        options: the parsed arguments, see `add_command`.

    Returns:
        The exit code: 0, or 1 if some pictures were left out.

    Raises:
        DrhtError: see `drht_plugin.compare.write_page`.
    """
    from drht_plugin.compare import Pair, find_pairs, require_free

    require_free(options.output, overwrite=options.overwrite)
    pairs, left_out = find_pairs(options.before, options.after, options.hdr)
    for path, why in left_out.items():
        print_note(f"{path}: {why}")
    named = [Pair(printable(pair.name), pair.before, pair.after, pair.hdr) for pair in pairs]
    code = _write(named, options.output, options, overwrite=options.overwrite)
    return FAILED if left_out else code


def add_compare_option(parser: argparse.ArgumentParser) -> None:
    """Add --compare to `drht correct`.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="FOLDER",
        help="also write a page that shows the pictures before and after: open FOLDER/index.html "
        "in a browser. With --hdr it shows the HDR estimates, too; with --skip-existing, earlier "
        "results",
    )


def require_page(options: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Check, before any work, that the page of `drht correct --compare` can be written.

    Raises:
        InputError: the folder is not free, a picture or a result is in it, or a result takes the
            place of its picture.
    """
    if options.compare is None:
        return
    from drht_plugin.compare import require_free

    require_free(options.compare, overwrite=_replaces_page(options))
    page = Path(os.path.realpath(options.compare))
    for job in jobs:
        if os.path.realpath(job.path) == os.path.realpath(job.target):
            raise InputError(
                f"{job.source}: --compare needs the picture before, which its result would replace"
            )
        for path in (Path(job.path), *job.outputs):
            real = Path(os.path.realpath(path))
            if page in (real, *real.parents):
                raise InputError(f"{path}: is in {options.compare}, where the page goes")


def write_compared(options: argparse.Namespace, jobs: Sequence[Job]) -> int:
    """Write the page of `drht correct --compare`.

    Args:
        options: the parsed arguments.
        jobs: pictures that have been corrected, now or by an earlier run.

    Returns:
        The exit code: 0, or 1 if some pictures were left out, or there are none.
    """
    if options.compare is None:
        return OK
    if not jobs:
        print_note(f"{options.compare}: no page is written, as no picture was corrected")
        return FAILED
    from drht_plugin.compare import Pair

    pairs = [
        Pair(printable(Path(job.source).name), Path(job.path), job.target, job.hdr) for job in jobs
    ]
    return _write(pairs, options.compare, options, overwrite=_replaces_page(options))


def _replaces_page(options: argparse.Namespace) -> bool:
    """Return whether an earlier page goes: that of the run which --skip-existing completes, too."""
    return bool(options.overwrite or options.skip_existing)


def _write(
    pairs: Sequence[Pair], folder: Path, options: argparse.Namespace, *, overwrite: bool
) -> int:
    from drht_plugin.compare import write_page

    with _progress_bar(len(pairs), options) as progress:
        page: Page = write_page(
            pairs, folder, overwrite=overwrite, damaged=options.damaged, progress=progress
        )
    for pair, error in page.failures:
        print_note(f"{pair.before}: is not on the page: {describe(error)}")
    output = Output()
    if not options.quiet and not getattr(options, "json", False):
        output.line(printable(str(page.index)))
    return FAILED if page.failures or output.failed else OK


@contextmanager
def _progress_bar(
    count: int, options: argparse.Namespace
) -> Iterator[Callable[[str, float], None]]:
    """Show the progress on a terminal; also a chance to stop."""
    from tqdm import tqdm

    silent = options.quiet or getattr(options, "json", False) or not sys.stderr.isatty()
    done = 0
    with tqdm(total=100 * count, unit="%", leave=False, disable=silent) as bar:

        def progress(name: str, share: float) -> None:
            nonlocal done
            check_stopped()
            bar.set_description_str(f"page: {name}")
            bar.update(100 * done + int(100 * share) - bar.n)
            done += share == 1.0

        yield progress
