"""`drht correct` of giants: pictures in Zarr, and TIFF files whose results are."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drht_plugin.cli.controls import control_values
from drht_plugin.cli.exits import FAILED, OK, describe, print_note, printable
from drht_plugin.cli.progress import Progress, terminal
from drht_plugin.cli.signals import check_stopped
from drht_plugin.cli.streams import Output
from drht_plugin.cli.telling import Tally
from drht_plugin.errors import ClusterError, InputError

if TYPE_CHECKING:
    from distributed import Client

    from drht_plugin.dask import StoreReport

_SUFFIX = ".zarr"
_METADATA = ("zarr.json", ".zgroup", ".zarray")

_UNFIT = (
    *("recursive", "format", "suffix", "bits", "background", "hdr", "compare", "ultra_hdr"),
    *("quality", "jobs", "memory", "layer"),
)
"""Options that do not apply to giants, as attributes."""


@dataclass(frozen=True)
class _Giant:
    """A picture, and where its result goes; both as paths or addresses."""

    source: str
    target: str


def is_giant(text: str | os.PathLike[str]) -> bool:
    """Return whether a name is that of a picture in Zarr, or an address, rather than of a file."""
    name = os.fspath(text)
    if "://" in name or name.rstrip("/\\").lower().endswith(_SUFFIX):
        return True
    return any(os.path.isfile(os.path.join(name, each)) for each in _METADATA)


def are_giants(options: argparse.Namespace) -> bool:
    """Return whether a command line asks for giants: a picture in Zarr, or a result there."""
    output = options.output
    return any(map(is_giant, options.inputs)) or (output is not None and is_giant(output))


def correct_giants(options: argparse.Namespace) -> int:
    """Correct pictures from storage to storage, one after the other.

    Args:
        options: the parsed arguments of `drht correct`.

    Returns:
        The exit code: 0, or 1 if some pictures failed.

    Raises:
        InputError: an option does not apply; nothing was done.
    """
    giants = _planned(options)
    output, tally, begun = Output(), Tally(), time.monotonic()
    if options.dry_run:
        failures = sum([not _foretell(each, options, output) for each in giants])
        return FAILED if failures or output.failed else OK
    quiet = options.quiet or options.json
    progress = Progress([0.0] * len(giants), None if quiet else terminal())
    with _workers(options) as client:
        for index, each in enumerate(giants):
            report: StoreReport | None = None
            try:
                skipped = options.skip_existing and _is_made(each)
                if not skipped:
                    report = _correct_one(index, each, client, options, progress)
            except ClusterError:
                raise
            except Exception as error:
                progress.finish(index)
                progress.clear()
                tally.failed += 1
                _tell_failure(each, error, options, output)
                continue
            progress.finish(index, worked=not skipped)
            progress.clear()
            tally.skipped += skipped
            tally.corrected += not skipped
            tally.left_alone += report is not None and report.left_alone
            _tell(each, report, options, output)
    if len(giants) > 1:
        tally.tell(output, options, time.monotonic() - begun)
    return FAILED if tally.failed or output.failed else OK


def _is_made(giant: _Giant) -> bool:
    from drht_plugin.dask.giants.address import Address
    from drht_plugin.dask.giants.correct import is_made

    return is_made(Address.of(giant.target))


def _foretell(giant: _Giant, options: argparse.Namespace, output: Output) -> bool:
    """Tell what would be written, and return whether it could be; only metadata are read."""
    from drht_plugin.dask.giants.address import Address
    from drht_plugin.dask.giants.correct import open_source, require_free

    there = _is_made(giant)
    said = "would be replaced" if there else "would be written"
    skipped = bool(options.skip_existing and there)
    try:
        if skipped:
            said = "exists already, would be skipped"
        else:
            source = open_source(giant.source)
            require_free(Address.of(giant.target), source, overwrite=options.overwrite)
    except Exception as error:
        _tell_failure(giant, error, options, output, dry_run=True)
        return False
    if options.json:
        facts = {"source": giant.source, "target": giant.target, "dry_run": True}
        output.line(json.dumps({**facts, "skipped": skipped}))
    elif not options.quiet:
        output.line(f"{printable(giant.source)} -> {printable(giant.target)} ({said})")
    return True


def _correct_one(
    index: int,
    giant: _Giant,
    client: Client | None,
    options: argparse.Namespace,
    progress: Progress,
) -> StoreReport:
    """Correct a picture; its folder is made if it was named."""
    from drht_plugin.dask import correct_store
    from drht_plugin.dask.giants.address import Address

    local = Address.of(giant.target).path
    if options.output is not None and local is not None:
        local.parent.mkdir(parents=True, exist_ok=True)

    def share(done: float) -> None:
        check_stopped()
        progress.share(index, done)

    progress.stage(index, "correcting", giant.source)
    return correct_store(
        giant.source,
        giant.target,
        client=client,
        **control_values(options),
        detail=options.detail,
        transfer=options.transfer,
        wrap=options.wrap,
        block=options.block,
        resume=options.resume,
        overwrite=options.overwrite,
        model=options.model,
        device=options.device,
        backend=options.backend,
        progress=share,
    )


@contextmanager
def _workers(options: argparse.Namespace) -> Iterator[Client | None]:
    """Open the cluster that is asked for; None stands for threads of this process."""
    from drht_plugin.bridge.sharing import limit_threads
    from drht_plugin.dask.giants.zarr_source import hold_codecs

    with ExitStack() as opened:
        if options.scheduler is None:
            if options.threads is not None:
                hold_codecs(options.threads)
            opened.enter_context(limit_threads(options.threads))
            yield None
            return
        from drht_plugin.dask.cluster import open_client
        from drht_plugin.dask.workers import Cluster

        client = opened.enter_context(open_client(options.scheduler))
        cluster = Cluster(client, options.scheduler)
        cluster.wait_for_worker(check_stopped)
        cluster.require_equal({})
        yield client


def _planned(options: argparse.Namespace) -> list[_Giant]:
    """Decide where the results go.

    Raises:
        InputError: see `correct_giants`.
    """
    given = [name for name in _UNFIT if getattr(options, name, None)]
    if options.damaged != "refuse":
        given.append("damaged")
    if options.scheduler is not None and options.threads is not None:
        given.append("threads")
    if given:
        raise InputError(f"--{given[0].replace('_', '-')} does not apply to pictures in Zarr")
    if options.threads is not None and options.threads < 1:
        raise InputError(f"threads is {options.threads}; expected a whole number from 1")
    from drht_plugin.dask.giants.address import Address

    sources: Sequence[str] = options.inputs
    if "-" in sources or str(options.output) == "-":
        raise InputError("-, which is stdin or stdout, cannot hold a picture in Zarr")
    targets = [_target(source, options.output, alone=len(sources) == 1) for source in sources]
    if len(set(targets)) < len(targets):
        raise InputError(f"several pictures would be written to {max(targets, key=targets.count)}")
    for each in (*sources, *targets):
        if "://" in each:  # one that cannot be opened is found before any work
            Address.of(each)
    memory = [each for each in (*sources, *targets) if each.startswith("memory://")]
    if memory and options.scheduler is not None:
        raise InputError(f"{memory[0]}: is memory of this process, which workers do not reach")
    return [_Giant(*pair) for pair in zip(sources, targets, strict=True)]


def _target(source: str, output: Any, *, alone: bool) -> str:
    if output is not None:
        goal = os.fspath(output)
        if is_giant(goal):
            if not alone:
                raise InputError(f"{goal}: is one picture for several; expected a folder")
            return goal
        if Path(goal).suffix and not os.path.isdir(goal):
            raise InputError(f"{goal}: giants are written to Zarr; expected NAME.zarr or a folder")
    name = source.rstrip("/\\")
    folder, slash, last = name.rpartition("/")
    stem = last.removesuffix(_SUFFIX) if last.endswith(_SUFFIX) else os.path.splitext(last)[0]
    if output is not None:
        return os.path.join(os.fspath(output), f"{stem}{_SUFFIX}")
    return f"{folder}{slash}{stem}-corrected{_SUFFIX}"


def _tell(
    giant: _Giant, report: StoreReport | None, options: argparse.Namespace, output: Output
) -> None:
    if options.json:
        facts = {"source": giant.source, "target": giant.target}
        told = {"skipped": True} if report is None else {**asdict(report), **facts}
        output.line(json.dumps({**facts, **told}))
    elif report is None:
        print_note(f"{printable(giant.target)}: exists already, skipped")
    elif not options.quiet:
        source = printable(giant.source)
        if report.dropped:
            print_note(f"{source}: not kept: {', '.join(report.dropped)}")
        kept = f" ({report.kept} of {report.blocks} blocks were there)" if report.kept else ""
        alone = " (well exposed)" if report.left_alone else ""
        output.line(f"{source} -> {printable(giant.target)}{alone}{kept}")


def _tell_failure(
    giant: _Giant,
    error: Exception,
    options: argparse.Namespace,
    output: Output,
    **more: bool,
) -> None:
    text = describe(error)
    for name in (giant.source, giant.target):  # the library names them with their folders
        text = text.replace(os.path.abspath(name), name)
    print_note(text)
    for note in getattr(error, "__notes__", ()):
        print_note(note)
    if options.json:
        facts = {"source": giant.source, "target": giant.target, **more}
        output.line(json.dumps({**facts, "error": text, "kind": type(error).__name__}))
