"""Time and memory of `correct()` on a 24-megapixel 8-bit picture.

Measures the time to load the networks, of the first call with an empty cache of compiled kernels,
and of the first call of a later process; the median of warm calls, also of survey and render alone,
interleaved with OpenCV's CLAHE on LAB lightness; and the peak memory in addition to input and
output.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from benchmarks.suite import Benchmark, CannotRun, Figure, Setting, in_turn

HEIGHT, WIDTH = 4000, 6000


def picture() -> np.ndarray:
    """Return a dark H×W×3 uint8 picture with smooth structure at all scales and noise."""
    import cv2

    random = np.random.default_rng(1)
    total = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for octave in range(3, 11):
        small = random.random((2**octave * 2 // 3, 2**octave, 3), dtype=np.float32) - 0.5
        total += cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) / octave
    total = (total - total.min()) / (total.max() - total.min())
    total = 160 * total**2 + random.normal(0, 2, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return total.clip(0, 255).astype(np.uint8)


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_cold() -> dict[str, float]:
    """Measure the times of a new process: loading and the first call."""
    from drht_plugin import Corrector

    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = (np.arange(WIDTH) // 24 % 256).astype(np.uint8)[:, None]
    corrector = Corrector()
    load = seconds(lambda: corrector.runner)
    return {"load": load, "first call": seconds(lambda: corrector.correct(image, detail="guided"))}


def measure_warm() -> dict[str, float]:
    """Measure the medians of warm calls, and the peak memory."""
    import cv2

    from drht_plugin import Corrector

    image = picture()
    out = np.empty_like(image)
    corrector = Corrector()
    corrector.correct(image, out=out, detail="guided")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    scene = corrector.survey(image)

    def clahe() -> None:
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
        cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

    correct, surveyed, rendered, compared = in_turn(
        lambda: corrector.correct(image, out=out, detail="guided"),
        lambda: corrector.survey(image),
        lambda: corrector.render(scene, image, detail="guided", out=out),
        clahe,
        repeats=9,
    )
    return {
        "correct": correct,
        "survey": surveyed,
        "render": rendered,
        "clahe": compared,
        "peak MiB over input and output": peak - 2 * image.nbytes / 2**20,
    }


def in_new_process(name: str, **environment: str) -> dict[str, float]:
    """Run one of the measurements above in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.correct_24mp", name],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def run(_: Setting) -> list[Figure]:
    """Run all measurements, each in a new process."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise CannotRun("OpenCV is not installed") from error
    with tempfile.TemporaryDirectory() as cache:
        empty = in_new_process("cold", NUMBA_CACHE_DIR=cache)
        filled = in_new_process("cold", NUMBA_CACHE_DIR=cache)
    warm = in_new_process("warm")
    clahe = warm["clahe"]
    return [
        Figure("load networks", filled["load"], "s"),
        Figure("first call, kernels not compiled yet", empty["first call"], "s"),
        Figure("first call, kernels compiled", filled["first call"], "s"),
        Figure("correct, warm", warm["correct"], "s", "CLAHE", warm["correct"] / clahe),
        Figure("of which survey", warm["survey"], "s", "CLAHE", warm["survey"] / clahe),
        Figure("of which render", warm["render"], "s", "CLAHE", warm["render"] / clahe),
        Figure("CLAHE on LAB lightness (OpenCV)", clahe, "s"),
        Figure("peak over input and output", warm["peak MiB over input and output"], "MiB"),
    ]


BENCHMARKS = (
    Benchmark(
        "correct-24mp", "correct() on 24 megapixels of 8 bits, relative to OpenCV's CLAHE", run
    ),
)

if __name__ == "__main__":
    print(json.dumps({"cold": measure_cold, "warm": measure_warm}[sys.argv[1]]()))
