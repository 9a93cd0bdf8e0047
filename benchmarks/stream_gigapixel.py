"""Time and memory of correcting a gigapixel TIFF, relative to a copy by libvips; and killed jobs.

    python benchmarks/stream_gigapixel.py [--width 40000 --height 25000] [--repeats 3] [--folder F]
    python benchmarks/stream_gigapixel.py --kills 20

The first command creates a TIFF of that size and one with a tenth of its pixels. For each, it
alternates between copying it with libvips and `correct_file`, and prints medians of wall time and
CPU time, the peak memory, and the ratios. The networks are loaded before, because loading does not
depend on the size.

The second command corrects a picture of 0.1 gigapixel with `--resume`, kills the process that many
times at random moments, lets it finish, and compares the result with that of an undisturbed run.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def make(path: Path, width: int, height: int) -> None:
    """Write a dark 8-bit RGB picture with coarse structure and noise, uncompressed."""
    import numpy as np
    import pyvips

    random = np.random.default_rng(1)
    small = random.random((max(height // 64, 2), max(width // 64, 2), 3)).astype(np.float32)
    image = pyvips.Image.new_from_array(small)
    image = image.resize(width / image.width, vscale=height / image.height, kernel="cubic")
    image = image.crop(0, 0, width, height)
    image = image**2 * 150 + pyvips.Image.gaussnoise(width, height, sigma=3)
    image.cast("uchar").copy(interpretation="srgb").write_to_file(str(path), bigtiff=True)


def copy(source: str, target: str) -> dict[str, float]:
    """Copy a file with libvips and wait until it is on the disk, as `correct_file` does."""
    import pyvips

    start, cpu = time.perf_counter(), time.process_time()
    pyvips.Image.new_from_file(source, access="sequential").write_to_file(target, bigtiff=True)
    with open(target, "rb") as file:
        os.fsync(file.fileno())
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}


def correct(source: str, target: str) -> dict[str, float]:
    """Correct a file, with the networks loaded and the kernels compiled before."""
    import numpy as np

    from drht_plugin import Corrector, correct_file

    corrector = Corrector()
    corrector.correct(np.zeros((64, 64, 3), np.uint8))
    start, cpu = time.perf_counter(), time.process_time()
    report = correct_file(source, target, corrector=corrector, detail="guided")
    done = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    return done | {f"{part} s": seconds for part, seconds in report.seconds.items()}


def in_new_process(name: str, source: Path, target: Path) -> dict[str, float]:
    """Run one of the above in a new process, and return its times and peak memory."""
    command = [sys.executable, __file__, "--part", name, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    target.unlink()
    result: dict[str, float] = json.loads(done.stdout)
    return result


def compare(folder: Path, width: int, height: int, repeats: int) -> dict[str, object]:
    """Return the medians of alternately copying and correcting a picture."""
    source = folder / f"{width}x{height}.tif"
    make(source, width, height)
    runs: dict[str, list[dict[str, float]]] = {"copy": [], "correct": []}
    for _ in range(repeats):
        for name, results in runs.items():
            results.append(in_new_process(name, source, folder / "out.tif"))
    source.unlink()
    medians = {
        name: {key: round(statistics.median(r[key] for r in results), 2) for key in results[0]}
        for name, results in runs.items()
    }
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(*runs.values(), strict=True)]
    return {
        "megapixels": width * height / 1e6,
        **medians,
        "correct / copy": round(statistics.median(ratios), 2),
        "correct / copy, CPU": round(medians["correct"]["cpu"] / medians["copy"]["cpu"], 2),
    }


def kill(folder: Path, kills: int, width: int, height: int) -> dict[str, object]:
    """Kill a resumable job at random moments, then compare its result with an undisturbed one."""
    source, whole, target = (folder / name for name in ("in.tif", "whole.tif", "out.tif"))
    make(source, width, height)

    def command(goal: Path, *more: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "drht_plugin.cli",
            "correct",
            str(source),
            "-o",
            str(goal),
            *more,
        ]

    start = time.perf_counter()
    subprocess.run(command(whole), check=True, capture_output=True)
    undisturbed = time.perf_counter() - start
    scratch = folder / ".out.tif.drht-resume"
    chance, killed, last, at = random.Random(1), 0, 0, []
    while killed < kills:
        target.unlink(missing_ok=True)  # it was killed between finishing and exiting
        process = subprocess.Popen(command(target, "--resume", "--quiet"))
        # A moment between the end of loading, roughly, and shortly after it should be done.
        time.sleep((0.5 + 0.8 * chance.random()) * undisturbed)
        if process.poll() is not None:  # done before it was killed: start again
            continue
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        journal = scratch / "journal"
        lines = journal.read_text().splitlines() if journal.exists() else []
        last = int(lines[-1].split()[0]) if lines else 0
        at.append(last)
    if not target.exists():
        subprocess.run(command(target, "--resume", "--quiet"), check=True)
    same = digest(target) == digest(whole)
    left = sorted(path.name for path in folder.iterdir())
    return {"kills": killed, "rows kept at each": at, "bit for bit": same, "files": left}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Print all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=40000)
    parser.add_argument("--height", type=int, default=25000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="folder for about 10 GB of files (default: a temporary one)"
    )
    parser.add_argument(
        "--kills", type=int, default=0, help="kill a resumable job this many times instead"
    )
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        name, source, target = options.part
        result = {"copy": copy, "correct": correct}[name](source, target)
        result["peak MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))
        return
    width, height = options.width, options.height
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if options.kills:
            print(json.dumps(kill(folder, options.kills, 12500, 8000), indent=1))
            return
        large = compare(folder, width, height, options.repeats)
        small = compare(folder, width, height // 10, options.repeats)
    peaks = [run["correct"]["peak MiB"] for run in (small, large)]  # type: ignore[index]
    report = {"large": large, "small": small, "peak, large / small": round(peaks[1] / peaks[0], 3)}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
