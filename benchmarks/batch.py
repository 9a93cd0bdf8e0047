"""Measure how long `drht correct FOLDER` takes for many pictures, and how busy the cores are.

    python -m benchmarks.batch [--count 200] [--megapixels 6] [--jobs default,1,2,4]

Makes JPEG files of quality 92, corrects them by the command in guided detail, and prints for each
number of pictures at once the seconds of all, pictures a second, the share of the cores' time that
was used (processor time of the command and its children by wall time and cores), and its peak of
memory. The command's start counts.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from drht_plugin.bridge.sharing import usable_cores


def make_pictures(folder: Path, count: int, megapixels: float) -> None:
    """Write pictures 3:2 of smooth light and fine grain, under- and over-exposed in turn."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = height * 3 // 2
    draw = np.random.default_rng(0)
    down, across = np.linspace(0, 3, height)[:, None], np.linspace(0, 5, width)
    light = (np.sin(down * across) + 1.2)[..., None] * np.array([1, 0.9, 0.75])
    light = light * draw.normal(1, 0.05, (height, width, 1))
    for number in range(min(count, 8)):
        codes = (light * (0.05 if number % 2 else 1.2)).clip(0, 1) ** (1 / 2.2) * 255
        Image.fromarray(codes.astype(np.uint8)).save(folder / f"{number:04}.jpg", quality=92)
    for number in range(8, count):
        os.link(folder / f"{number % 8:04}.jpg", folder / f"{number:04}.jpg")


def measure(source: Path, count: int, jobs: str) -> None:
    """Run the command once, and print its line."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "drht_plugin.cli", "correct", str(source), "-o", out]
        command += ["--quiet", *(["--jobs", jobs] if jobs != "default" else [])]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        made = len(list(Path(out).iterdir()))
    if made != count:
        raise RuntimeError(f"{made} of {count} pictures were made")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    share = used / seconds / usable_cores()
    print(
        f"jobs {jobs:>7}: {seconds:6.1f} s, {count / seconds:5.2f} pictures a second, "
        f"{share:.0%} of {usable_cores()} cores, at most {after.ru_maxrss / 1024:.0f} MiB so far",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="pictures (default: 200)")
    parser.add_argument("--megapixels", type=float, default=6.0, help="of each (default: 6)")
    parser.add_argument(
        "--jobs", default="default", help="pictures at once, with commas (default: as without)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder), options.count, options.megapixels)
        for jobs in options.jobs.split(","):
            measure(Path(folder), options.count, jobs)


if __name__ == "__main__":
    main()
