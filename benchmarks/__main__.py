"""Run the suite of benchmarks."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.suite import (
    CannotRun,
    Figure,
    Setting,
    all_benchmarks,
    format_number,
    machine,
    print_progress,
    write,
)


def main() -> None:
    """Run the chosen benchmarks and write results.json and results.md."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time the library and compare it with the limits of the machine. Takes "
        "several minutes.",
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks and exit")
    parser.add_argument(
        "--only", metavar="NAME[,NAME…]", help="run only these, and the limits of the machine"
    )
    parser.add_argument("--full", action="store_true", help="also run benchmarks that take long")
    parser.add_argument(
        "--device",
        default="cpu",
        choices=["cpu", "cuda"],
        help="where the networks run (default: cpu)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("benchmark-results"),
        metavar="FOLDER",
        help="folder for results.json and results.md (default: benchmark-results)",
    )
    options = parser.parse_args()
    known = list(all_benchmarks())
    if options.list:
        for each in known:
            marks = "".join([", --full" * each.full, f", --device {each.device}"])
            print(f"{each.name:16} {each.about} ({marks[2:]})")
        return
    chosen = options.only.split(",") if options.only else []
    unknown = sorted(set(chosen) - {each.name for each in known})
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; see --list")
    about = machine()
    results: dict[str, list[Figure]] = {}
    ceilings: dict[str, float] = {}
    for each in known:
        wanted = each.name in chosen or each.name == "ceilings" if chosen else True
        if not chosen and (each.full > options.full or each.device != options.device):
            wanted = each.name == "ceilings"
        if not wanted:
            continue
        print_progress(f"{each.name}: {each.about}")
        try:
            figures = each.run(Setting(options.device, options.full, ceilings))
        except CannotRun as reason:
            print_progress(f"  left out: {reason}")
            continue
        results[each.name] = figures
        if each.name == "ceilings":
            ceilings.update({figure.name: figure.value for figure in figures})
        for figure in figures:
            ratio = "" if figure.ratio is None else f"   {figure.ratio:.2f} × {figure.against}"
            print_progress(f"  {figure.name}: {format_number(figure.value)} {figure.unit}{ratio}")
        # Written after each benchmark, so that an interrupted run keeps its results.
        write(options.output, about, results)
    print_progress(f"written: {options.output / 'results.md'}, {options.output / 'results.json'}")


if __name__ == "__main__":
    main()
