"""Changes the package in small ways, and says which changes no test notices.

`python tests/mutation.py [MODULES…] --seed 0 --sample 150`: MODULES are files and folders, by
default engine, io and bridge. Each mutant is made in a copy of the checkout, and the tests that
call the changed function are run, the quickest first, until one fails. What survives is printed
as file:line, function and change; with the same seed and sources they are the same.

A first run of the tests notes what they call (`mutation_calls`), which is kept in `.cache` for
these sources; only tests that pass are taken. A function that no test is seen to call, such as a
compiled kernel or a module's own statements, gets the tests of its module and of those that import
it.

Mutants that change nothing that could be seen are listed in `mutation_equivalents.txt` with the
reason, and left out.

The usual tools put their own code around functions, which numba cannot compile, or change the
checkout itself.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from mutation_mutants import Mutant, modules, mutants

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "drht_plugin"
MUTATED = [PACKAGE / name for name in ("engine", "io", "bridge")]
TESTS = ("tests/bridge", "tests/engine", "tests/io", "tests/colour")
EQUIVALENTS = Path(__file__).with_name("mutation_equivalents.txt")
NOTES = ROOT / ".cache/mutation"

RECORD_SECONDS = 1800
COMPILE_SECONDS = 400
"""For all kernels: they are compiled anew once one of their sources is another."""

LINE = "{0.line}  {0.function}  {0.before}  →  {0.after}"


class Calls:
    """Which tests call what.

    Attributes:
        seconds: of each test that passes.
        of_function: the tests of each function, by "module:qualified name".
        of_module: the tests that call any function of a module, a path below the package.
    """

    def __init__(self, notes: Iterable[Path]) -> None:
        self.seconds: dict[str, float] = {}
        self.of_function: dict[str, set[str]] = {}
        self.of_module: dict[str, set[str]] = {}
        for file in notes:
            told = json.loads(file.read_text())
            for test, facts in told["tests"].items():
                self.seconds[test] = facts["seconds"]
                self._add(test, {*facts["calls"], *told["files"].get(test.partition("::")[0], ())})
        self._importers = importers()

    def _add(self, test: str, names: set[str]) -> None:
        for name in names:
            self.of_function.setdefault(name, set()).add(test)
            if not name.endswith("<module>"):
                self.of_module.setdefault(name.partition(":")[0], set()).add(test)

    def of(self, mutant: Mutant) -> set[str]:
        """The tests that may notice a mutant."""
        module = str(mutant.path.relative_to(PACKAGE))
        if mutant.function and (tests := self.of_function.get(f"{module}:{mutant.function}")):
            return tests
        found = set(self.of_module.get(module, ()))
        seen, wave = {module}, {module}
        while wave:
            wave = set().union(*(self._importers.get(each, set()) for each in wave)) - seen
            seen |= wave
            found = found.union(*(self.of_module.get(each, set()) for each in wave))
            if found:
                break
        return found

    def chosen(self, mutant: Mutant, budget: float) -> list[str]:
        """The quickest tests of a mutant, of so many seconds together, file by file."""
        left = budget
        chosen: list[str] = []
        for test in sorted(self.of(mutant), key=lambda test: (self.seconds[test], test)):
            left -= self.seconds[test]
            if left < 0 and chosen:
                break
            chosen.append(test)
        cost: Counter[str] = Counter()
        for test in chosen:
            cost[test.partition("::")[0]] += 1 + round(1000 * self.seconds[test])
        return sorted(chosen, key=lambda test: (cost[(file := test.partition("::")[0])], file))


def importers() -> dict[str, set[str]]:
    """The modules that import each module, as paths below the package."""
    found: dict[str, set[str]] = {}
    for path in modules([PACKAGE]):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("drht_plugin"):
                place = ROOT / str(node.module).replace(".", "/")
                for file in (place, *(place / name.name for name in node.names)):
                    imported = file.with_suffix(".py")
                    if imported.is_relative_to(PACKAGE) and imported.is_file():
                        name = str(imported.relative_to(PACKAGE))
                        found.setdefault(name, set()).add(str(path.relative_to(PACKAGE)))
    return found


class Copy:
    """A copy of the checkout, where mutants are made and tests run."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines():
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        if (ROOT.parent / "shared").exists():
            (folder / "shared").symlink_to(ROOT.parent / "shared")

    def run(self, *arguments: str, seconds: float, **more: str) -> int | None:
        """The exit code of pytest; None if it took longer. No bytecode is kept, or taken."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.root), str(self.root / "tests")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(
                    [*command, "--hypothesis-seed=0", *arguments],
                    cwd=self.root,
                    env=environment,
                    stdout=said,
                    stderr=said,
                    timeout=seconds,
                )
            except subprocess.TimeoutExpired:
                return None
            if "MUTATION_CALLS" in more and done.returncode:
                said.seek(0)
                sys.stderr.write(said.read().decode())
        return done.returncode

    def verdict(self, mutant: Mutant, tests: list[str], seconds: float) -> str:
        """What tests that take so many seconds say: "killed", "timed out" or "survived"."""
        if not tests:
            return "survived"
        place = self.root / mutant.path.relative_to(ROOT)
        before = place.read_bytes()
        place.write_bytes(mutant.source)
        try:
            compiled = (place.parent / "jit.py").is_file()
            with tempfile.TemporaryDirectory() as kernels:
                own = {"NUMBA_CACHE_DIR": kernels} if compiled else {}
                limit = 60 + 4 * seconds + (COMPILE_SECONDS if compiled else 0)
                code = self.run(*tests, seconds=limit, **own)
        finally:
            place.write_bytes(before)
            shutil.rmtree(self.root / ".hypothesis", ignore_errors=True)
        return {0: "survived", None: "timed out"}.get(code, "killed")


def record(tests: Iterable[str]) -> list[Path]:
    """The notes of what the tests call, a file each; those of these sources are not made again."""
    package = b"".join(file.read_bytes() for file in modules([PACKAGE]))
    wanted = {}
    for file in modules([ROOT / test for test in tests]):
        if file.name.startswith("test_"):
            digest = hashlib.sha256(package + file.read_bytes()).hexdigest()[:16]
            wanted[file] = NOTES / f"{file.stem}-{digest}.json"
    missing = {file: notes for file, notes in wanted.items() if not notes.exists()}
    if missing:
        NOTES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            copy, made = Copy(Path(folder)), Path(folder) / "notes.json"
            for file, notes in missing.items():
                name = str(file.relative_to(ROOT))
                print(f"noting what {name} calls", file=sys.stderr, flush=True)
                copy.run(
                    *("--maxfail=1000", "-p", "mutation_calls", name),
                    seconds=RECORD_SECONDS,
                    MUTATION_CALLS=str(made),
                )
                shutil.move(made, notes)
    return list(wanted.values())


def equivalents() -> dict[str, str]:
    """Reasons by mutants' keys; the file has the key on a line and the reason, indented, below."""
    found: dict[str, str] = {}
    key = ""
    for line in EQUIVALENTS.read_text().splitlines():
        if line.startswith(" "):
            found[key] = f"{found[key]} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            key = line
            found[key] = ""
    nameless = [key for key, reason in found.items() if not reason]
    assert not nameless, f"without a reason: {nameless}"
    return found


def judged(
    mutant: Mutant, *, copies: SimpleQueue[Copy], calls: Calls, seconds: float
) -> tuple[Mutant, str, int]:
    """A mutant, what its tests say, and how many these are."""
    tests = calls.chosen(mutant, seconds)
    copy = copies.get()
    try:
        start = time.monotonic()
        said = copy.verdict(mutant, tests, sum(calls.seconds[test] for test in tests))
        took = time.monotonic() - start
    finally:
        copies.put(copy)
    print(
        f"{said:9} {took:4.0f} s {len(tests):3} tests  {mutant.path.relative_to(ROOT)}:"
        + LINE.format(mutant),
        file=sys.stderr,
        flush=True,
    )
    return mutant, said, len(tests)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", type=Path, default=MUTATED, metavar="MODULE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, help="so many mutants; all if it is not given")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at once")
    parser.add_argument("--seconds", type=float, default=60, help="of tests for a mutant")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="which may be run")
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    given = parser.parse_args()
    excused = equivalents()
    found = [m for path in modules([p.resolve() for p in given.modules]) for m in mutants(path)]
    if given.sample is not None:
        found = random.Random(given.seed).sample(found, min(given.sample, len(found)))
    tried = [mutant for mutant in found if mutant.key not in excused]
    if given.list:
        for mutant in tried:
            print(f"{mutant.path.relative_to(ROOT)}:" + LINE.format(mutant))
        return
    calls = Calls(record(given.tests))
    copies: SimpleQueue[Copy] = SimpleQueue()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        for job in range(given.jobs):
            copies.put(Copy(Path(folder) / str(job)))
        judge = partial(judged, copies=copies, calls=calls, seconds=given.seconds)
        results = list(pool.map(judge, tried))
    count = Counter(said for _, said, _ in results)
    for mutant, said, tests in results:
        if said == "survived":
            print(f"{mutant.path.relative_to(ROOT)}:" + LINE.format(mutant) + f"  ({tests} tests)")
    print(
        f"{len(found)} mutants: {count['killed']} killed, {count['timed out']} timed out, "
        f"{count['survived']} survived, {len(found) - len(tried)} equivalent"
    )


if __name__ == "__main__":
    main()
