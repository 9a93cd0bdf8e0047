"""``python -m tests.fuzz --minutes 20``: run the suite by hand; exit code 1 says faults."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "io")]

from .suite import inputs, keep, run, table


def main() -> int:
    """Run cases until the time is over; print faults as they come, and a table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default: 0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the cases to run")
    parser.add_argument("--faults", type=Path, default=Path("fuzz-faults"), help="where inputs go")
    options = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    slowest, start = (0.0, "none"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        maker = inputs(options.seed, Path(folder))
        numbers = options.only or itertools.count(options.first)
        for result in run(maker, numbers, 60 * options.minutes):
            verdict = result.verdict
            counts[result.case.kind, verdict.name] += 1
            label = f"case {result.case.number}, {result.case.label}"
            slowest = max(slowest, (verdict.seconds, label))
            if options.only or not result.good:
                words = " ".join(verdict.why.split())[-300:]
                print(
                    f"{result.case.number} {result.case.label}: {verdict.name} "
                    f"({verdict.seconds:.1f} s) {words}",
                    flush=True,
                )
            if not result.good:
                keep(result, options.faults)
    faults = sum(count for (_, name), count in counts.items() if name not in ("done", "refused"))
    print(table(counts))
    print(
        f"{counts.total()} inputs in {time.monotonic() - start:.0f} s, seed {options.seed}, "
        f"the slowest {slowest[0]:.1f} s ({slowest[1]}); {faults} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
