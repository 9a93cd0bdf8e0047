"""Time and memory of correcting a gigapixel JPEG to a tiled TIFF through libvips, and of a copy.

    python benchmarks/vips_gigapixel.py [--folder FOLDER] [--repeats N]

Creates a JPEG of 40000×25000 pixels and one of a tenth of that, from an enlarged example with noise
(needs 3.5 GB of disk space, which is freed afterwards). Each run is a new process: copy and
correction alternate, and the smaller file is corrected to compare its memory. Prints wall time, CPU
time and peak memory of each run, and the ratios. "own" is the peak without the pages of mapped
files, which hold the input while it is read.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "pictures" / "golden_gate_dark.jpg"
SIZES = {"gigapixel": (40000, 25000), "tenth": (12650, 7905)}


def make(path: Path, width: int, height: int) -> None:
    """Write a JPEG of an enlarged photograph with noise."""
    import pyvips

    image = pyvips.Image.new_from_file(str(EXAMPLE))
    large = image.resize(width / image.width, vscale=height / image.height, kernel="linear")
    noise = pyvips.Image.gaussnoise(2048, 2048, mean=0, sigma=3)
    noise = noise.replicate(-(-width // 2048), -(-height // 2048)).crop(0, 0, width, height)
    (large + noise).cast("uchar").copy(interpretation="srgb").write_to_file(str(path), Q=90)


class AnonymousMemory(threading.Thread):
    """Watches the anonymous memory of this process; `peak` is in bytes, 0 if it is unknown."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.done = 0, threading.Event()

    def run(self) -> None:
        """Watch until `done` is set."""
        status = Path("/proc/self/status")
        while status.exists() and not self.done.wait(0.02):
            lines = status.read_text().splitlines()
            own = next((line.split()[1] for line in lines if line.startswith("RssAnon")), "0")
            self.peak = max(self.peak, int(own) * 1024)


def work(what: str, source: str, target: str) -> None:
    """Run one conversion and print its figures as JSON."""
    import pyvips

    own = AnonymousMemory()
    own.start()
    start = time.perf_counter()
    image = pyvips.Image.new_from_file(source, access="sequential")
    if what == "correct":
        from drht_plugin import vips

        vips.write(vips.correct(image, detail="guided"), target, tile=True)
    else:
        image.write_to_file(target, tile=True)
    seconds = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    own.done.set()
    print(json.dumps({"wall": seconds, "cpu": cpu, "peak": peak, "own": own.peak}))


def run(what: str, source: Path, target: Path) -> dict[str, float]:
    """Run one conversion in a new process."""
    command = [sys.executable, __file__, "--work", what, str(source), str(target)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    target.unlink()
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{what:8} {source.stem:9} {figures['wall']:6.1f} s wall {figures['cpu']:6.1f} s CPU "
        f"{figures['peak'] / 1e6:6.0f} MB, own {figures['own'] / 1e6:.0f} MB",
        flush=True,
    )
    return figures


def main() -> None:
    """Create the files, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="folder for the files (default: a temporary one)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        files = {name: Path(folder, f"{name}.jpg") for name in SIZES}
        for name, path in files.items():
            make(path, *SIZES[name])
            print(f"{name}: {SIZES[name][0]}×{SIZES[name][1]}, {path.stat().st_size / 1e6:.0f} MB")
        target = Path(folder, "out.tif")
        run("correct", files["tenth"], target)  # compiles the kernels if they are not cached
        smaller = run("correct", files["tenth"], target)
        pairs = [
            (run("copy", files["gigapixel"], target), run("correct", files["gigapixel"], target))
            for _ in range(arguments.repeats)
        ]
    ratio = statistics.median(ours["wall"] / theirs["wall"] for theirs, ours in pairs)
    cpu = statistics.median(ours["cpu"] / theirs["cpu"] for theirs, ours in pairs)
    peak, own = (max(ours[each] for _, ours in pairs) for each in ("peak", "own"))
    print(f"wall time: {ratio:.2f} times the copy's (CPU {cpu:.2f} times), {os.cpu_count()} cores")
    print(f"peak memory: {peak / 1e6:.0f} MB, {peak / smaller['peak']:.2f} times the tenth's")
    print(f"of which its own: {own / 1e6:.0f} MB, {own / smaller['own']:.2f} times the tenth's")


if __name__ == "__main__":
    main()
