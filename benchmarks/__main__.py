"""The suite in one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.suite import CannotRun, Figure, Setting, all_benchmarks, machine, say, short, write


def main() -> None:
    """Run the chosen benchmarks and write results.json and results.md."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time the library, beside the ceilings of the machine. Takes minutes.",
    )
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    parser.add_argument("--only", metavar="NAME[,NAME…]", help="these alone, and the ceilings")
    parser.add_argument("--full", action="store_true", help="what takes long, too")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: cpu")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), metavar="FOLDER")
    options = parser.parse_args()
    known = list(all_benchmarks())
    if options.list:
        for each in known:
            marks = "".join([", --full" * each.full, f", --device {each.device}"])
            print(f"{each.name:16} {each.about} ({marks[2:]})")
        return
    asked = options.only.split(",") if options.only else []
    strangers = sorted(set(asked) - {each.name for each in known})
    if strangers:
        parser.error(f"no benchmark {', '.join(strangers)}; see --list")
    about = machine()
    results: dict[str, list[Figure]] = {}
    ceilings: dict[str, float] = {}
    for each in known:
        wanted = each.name in asked or each.name == "ceilings" if asked else True
        if not asked and (each.full > options.full or each.device != options.device):
            wanted = each.name == "ceilings"
        if not wanted:
            continue
        say(f"{each.name}: {each.about}")
        try:
            figures = each.run(Setting(options.device, options.full, ceilings))
        except CannotRun as reason:
            say(f"  left out: {reason}")
            continue
        results[each.name] = figures
        if each.name == "ceilings":
            ceilings.update({figure.name: figure.value for figure in figures})
        for figure in figures:
            ratio = "" if figure.ratio is None else f"   {figure.ratio:.2f} × {figure.against}"
            say(f"  {figure.name}: {short(figure.value)} {figure.unit}{ratio}")
        # Written as they come, so that a run that is stopped keeps what it has.
        write(options.output, about, results)
    say(f"written: {options.output / 'results.md'}, {options.output / 'results.json'}")


if __name__ == "__main__":
    main()
