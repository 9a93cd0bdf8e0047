"""What `drht correct` tells of a picture, and of all of them: lines of text, or of JSON."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drht_plugin.cli.batch import Outcome
from drht_plugin.cli.controls import strength_of
from drht_plugin.cli.exits import print_note, printable
from drht_plugin.cli.faults import Fault
from drht_plugin.cli.outputs import Job
from drht_plugin.cli.streams import Output

if TYPE_CHECKING:
    from drht_plugin.file_correction import FileReport


def failure(job: Job, fault: Fault) -> str:
    """Return what went wrong with one picture, all files named as given, with their folders."""
    text = fault.text
    if fault.of_result:  # the library names a file without its folder
        for path in job.outputs:
            if text.startswith(f"{path.name}: "):
                return f"{job.source}: {path}{text[len(path.name) :]}"
    for name in (job.path, Path(job.path).name):
        if text.startswith(f"{name}: "):
            return f"{job.source}{text[len(name) :]}"
    return text if text.startswith(f"{job.source}: ") else f"{job.source}: {text}"


@dataclass
class Tally:
    """What became of the pictures so far; its attributes count them."""

    corrected: int = 0
    failed: int = 0
    skipped: int = 0
    left_alone: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count a picture."""
        if outcome.skipped:
            self.skipped += 1
        elif outcome.report is None:
            self.failed += 1
        else:
            self.corrected += 1
            self.left_alone += outcome.report.left_alone

    def tell(self, output: Output, options: argparse.Namespace, seconds: float) -> None:
        """Print the summary of several pictures.

        Args:
            output: where a line of JSON goes, with --json.
            options: the parsed arguments.
            seconds: that all took.
        """
        count = self.corrected + self.failed + self.skipped
        parts = []
        if self.failed:
            parts.append(f"{self.failed} of {count} pictures failed")
        if self.skipped:
            words = "skipped" if parts else f"of {count} pictures skipped"
            parts.append(f"{self.skipped} {words}, as their results exist")
        if parts:
            print_note("; ".join(parts))
        if options.json:
            summary = {
                "pictures": count,
                "corrected": self.corrected,
                "left_alone": self.left_alone,
                "skipped": self.skipped,
                "failed": self.failed,
                "seconds": round(seconds, 3),
            }
            output.line(json.dumps({"summary": summary}))


def tell(outcome: Outcome, output: Output, options: argparse.Namespace, *, network: bool) -> None:
    """Print what became of a picture.

    Args:
        outcome: of the picture.
        output: where results are named.
        options: the parsed arguments.
        network: whether there is network detail.
    """
    job = outcome.job
    for note in outcome.notes:
        print_note(note)
    if outcome.fault is not None:
        _tell_failure(job, outcome.fault, output, options)
    elif outcome.skipped and options.json:
        facts = {"source": job.source, "target": str(job.target), "skipped": True}
        output.line(json.dumps(facts))
    elif outcome.report is not None:
        _tell_result(job, outcome.report, output, options, network=network)


def _tell_failure(job: Job, fault: Fault, output: Output, options: argparse.Namespace) -> None:
    text = failure(job, fault)
    print_note(text)
    for note in fault.notes:
        print_note(note)
    if options.json:
        facts = {"source": job.source, "target": str(job.target)}
        output.line(json.dumps({**facts, "error": text, "kind": fault.kind}))


def _tell_result(
    job: Job, report: FileReport, output: Output, options: argparse.Namespace, *, network: bool
) -> None:
    from drht_plugin.engine.plan import NOISY

    if options.json:
        output.line(json.dumps(asdict(report)))
        return
    if options.quiet:
        return
    source = printable(job.source)
    if report.dropped:
        print_note(f"{source}: not kept: {', '.join(report.dropped)}")
    if report.converted:
        print_note(f"{source}: converted: {'; '.join(report.converted)}")
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
