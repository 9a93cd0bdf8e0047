"""What `drht correct` would write, told without writing it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from drht_plugin.cli.exits import FAILED, OK, print_note, printable
from drht_plugin.cli.faults import Fault
from drht_plugin.cli.outputs import Job, Results
from drht_plugin.cli.streams import Output
from drht_plugin.cli.targets import STDOUT
from drht_plugin.cli.telling import failure


def tell(jobs: Sequence[Job], options: argparse.Namespace, output: Output) -> int:
    """Tell of each picture what would be written; only headers are read.

    Args:
        jobs: the pictures, and what is to be written.
        options: the parsed arguments.
        output: where the lines go.

    Returns:
        The exit code: 0, or 1 if some pictures could not be corrected.
    """
    results, failures = Results(overwrite=options.overwrite), 0
    for job in jobs:
        names = [str(path) for path in job.outputs]
        if options.output == STDOUT:
            names = [str(STDOUT)]
        facts = {"source": job.source, "target": names[0], "dry_run": True}
        if job.hdr is not None:
            facts["hdr"] = str(job.hdr)
        try:
            if options.skip_existing and results.exist(job):
                facts["skipped"], said = True, ["exists already, would be skipped"]
            else:
                results.require_free(job)
                converted = _converted(job, options)
                facts["skipped"], facts["converted"] = False, converted
                there = "would be replaced" if job.target.exists() else "would be written"
                said = [there, *converted]
        except Exception as error:
            failures += 1
            fault = Fault.of(error)
            text = failure(job, fault)
            print_note(text)
            facts |= {"error": text, "kind": fault.kind}
            said = []
        if options.json:
            output.line(json.dumps(facts))
        elif said and not options.quiet:
            shown = " and ".join(printable(name) for name in names)
            output.line(f"{printable(job.source)} -> {shown} ({'; '.join(said)})")
    return FAILED if failures or output.failed else OK


def _converted(job: Job, options: argparse.Namespace) -> list[str]:
    """Say what would be converted; raise what is wrong with a picture's header."""
    from drht_plugin.io import conversion_to, open_picture

    with open_picture(job.path, damaged=options.damaged, layer=options.layer) as picture:
        conversion = conversion_to(
            job.target,
            picture,
            transfer=options.transfer,
            bits=options.bits,
            background=options.background,
        )
    return list(conversion.said)
