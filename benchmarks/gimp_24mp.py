"""Time and memory of the GIMP plug-in on a 24-megapixel 8-bit layer, guided.

    python tests/gimp/root.py 3.0
    python -m benchmarks.gimp_24mp

Alternates between the plug-in in real GIMP, from the procedure's call to the merged result, and a
Python process, from its start to the corrected array (`drht correct` without file I/O). Prints the
seconds of each, the median difference, and the CPU time and peak memory (VmHWM) of the plug-in
itself.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "gimp"))

import root
from gimp_harness import Gimp

from benchmarks.correct_24mp import HEIGHT, WIDTH, picture

REPEATS = 3

_CALL = """
import time
image, layer = make({source!r}, {width}, {height})
start = time.perf_counter()
status, text = call(image, layer, output="in-place", detail="guided")
seconds = time.perf_counter() - start
assert status == "success", text
dump(layer, {target!r})
report(OUT, seconds=seconds)
"""

_ALONE = """
import sys, time
import numpy as np
import drht_plugin
start = time.perf_counter()
image = np.fromfile(sys.argv[1], np.uint8).reshape({height}, {width}, 3)
reading = time.perf_counter() - start
result = drht_plugin.correct(image, detail="guided")
print(reading)
"""


def in_gimp(source: Path, target: Path) -> tuple[float, float, float]:
    """Return the seconds of the call, and the plug-in's own CPU seconds and peak memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        gimp = Gimp("3.0", root.CACHE / "3.0", Path(folder))
        gimp.prepare()
        gimp.install()
        most, stop = [0.0, 0.0], threading.Event()

        def watch() -> None:
            while not stop.wait(0.05):
                for number in gimp.running("plug-ins/drht/drht.py"):
                    most[:] = map(max, most, use(number))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            words = {"source": str(source), "target": str(target), "width": WIDTH, "height": HEIGHT}
            seconds = gimp.run(_CALL.format(**words))["seconds"]
        finally:
            stop.set()
            watcher.join()
            gimp.close()
        return seconds, most[0], most[1]


def use(number: int) -> tuple[float, float]:
    """Return the CPU seconds and the peak memory in MiB of a running process."""
    folder = Path("/proc", str(number))
    try:
        times = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
        lines = (folder / "status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    peak = next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK"), peak


def alone(source: Path) -> float:
    """Return the seconds of a process that corrects the same pixels, without reading them."""
    code = _ALONE.format(height=HEIGHT, width=WIDTH)
    start = time.perf_counter()
    command = [sys.executable, "-c", code, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - start - float(done.stdout)


def main() -> None:
    """Print all figures as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / "out"
        picture().tofile(source)
        alone(source)  # compiles the kernels if they are not cached
        runs = [(in_gimp(source, target), alone(source)) for _ in range(REPEATS)]
    gimp = [seconds for (seconds, _, _), _ in runs]
    without = [seconds for _, seconds in runs]
    report = {
        "in GIMP, seconds": [round(each, 2) for each in gimp],
        "alone, seconds": [round(each, 2) for each in without],
        "median difference, seconds": round(
            statistics.median(a - b for a, b in zip(gimp, without, strict=True)), 2
        ),
        "plug-in's own CPU, seconds": [round(cpu, 2) for (_, cpu, _), _ in runs],
        "plug-in's peak, MiB": round(max(peak for (_, _, peak), _ in runs)),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
