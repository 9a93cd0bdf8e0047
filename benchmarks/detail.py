"""Speed of network detail: the network alone and the pipeline, relative to the machine's limit.

The time does not depend on the weights, so random ones are used.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.ceilings import BF16, FP32
from benchmarks.suite import Benchmark, CannotRun, Figure, Setting, print_progress, wall
from drht_plugin.engine.render.network.windows import NetworkRenderer

TILE = 1024
_PIPELINE = 3072, 4096
_GIGAPIXEL = 25000, 40000


@contextmanager
def random_model() -> Iterator[Path]:
    """Provide the shipped model with a detail network of random weights."""
    import torch

    from drht_plugin.model.detail_network import DetailNetwork
    from drht_plugin.model.locate import detail_of, locate
    from drht_plugin.model.weights import DETAIL_ARCHITECTURE, save_model

    shipped = locate("default")
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, shipped.name)
        for each in (shipped, shipped.with_suffix(".json")):
            shutil.copy(each, folder)
        torch.manual_seed(0)
        save_model(DetailNetwork(), detail_of(model), {}, DETAIL_ARCHITECTURE)
        yield model


def flops_of_tile() -> float:
    """Return the number of floating-point operations of the network on one tile."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from drht_plugin.bridge.sizes import CELL, PLANES
    from drht_plugin.model.detail_network import DetailNetwork

    side = TILE // CELL
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        DetailNetwork()(torch.zeros(1, PLANES * CELL * CELL, side // 4, side // 4))
    return 16.0 * counter.get_total_flops()


def _planes() -> np.ndarray:
    from drht_plugin.bridge.sizes import CELL, PLANES

    shape = TILE // CELL, TILE // CELL, PLANES * CELL * CELL
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def measure_naive() -> float:
    """Return the seconds of a tile in the plain network: float32, channels first, untuned."""
    import torch

    from drht_plugin.model.detail_network import DetailNetwork

    network = DetailNetwork().eval()
    planes = torch.from_numpy(_planes()).permute(2, 0, 1)[None].contiguous()

    def work() -> None:
        with torch.no_grad():
            network(planes)

    return wall(work, 3)


def run(setting: Setting) -> list[Figure]:
    """Measure the network on one tile, the same untuned, and the whole pipeline."""
    import torch

    from drht_plugin import Corrector

    pixels = TILE * TILE / 1e6
    naive = subprocess.run(
        [sys.executable, "-m", "benchmarks.detail"], capture_output=True, text=True, check=True
    )
    untuned = pixels / float(json.loads(naive.stdout))
    with random_model() as model:
        corrector = Corrector(model=model, device=setting.device)
        runner, given = corrector.detail_runners[0], _planes()
        planes = runner.room(given.shape)
        planes[...] = given
        seconds = wall(lambda: runner.begin(planes)(), 5)
        height, width = _PIPELINE
        random = np.random.default_rng(0)
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        scene, out = corrector.survey(image), np.empty_like(image)
        whole = wall(
            lambda: corrector.render(scene, image, detail="network", tile=TILE, out=out), 1
        )
        side = TILE - 2 * NetworkRenderer.halo
    ceiling = setting.ceilings.get(BF16 if runner.dtype == torch.bfloat16 else FP32)
    speed = flops_of_tile() / seconds / 1e9
    kept = side * side / 1e6 / seconds
    return [
        Figure("network, tile 1024", pixels / seconds, "MP/s"),
        Figure(
            f"network, {str(runner.dtype).removeprefix('torch.')}",
            speed,
            "GFLOP/s",
            "convolution of that type" if ceiling else "",
            speed / ceiling if ceiling else None,
        ),
        Figure("naive eager, float32", untuned, "MP/s"),
        Figure("network", pixels / seconds, "MP/s", "naive eager", pixels / seconds / untuned),
        Figure(
            "pipeline, 12.6 MP",
            image.size / 3e6 / whole,
            "MP/s",
            "network's rate after the halo",
            image.size / 3e6 / whole / kept,
        ),
    ]


def run_gigapixel(setting: Setting) -> list[Figure]:
    """Measure a gigapixel in network detail on a GPU, from RAM to RAM."""
    import torch

    from drht_plugin import Corrector

    if setting.device != "cuda" or not torch.cuda.is_available():
        raise CannotRun("it needs a CUDA device and --device cuda")
    height, width = _GIGAPIXEL
    tile = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    image = np.tile(tile, (height // 1000, width // 1000, 1))
    out = np.empty_like(image)
    with random_model() as model:
        corrector = Corrector(model=model, device="cuda")
        warm = image[:4096, :4096]
        corrector.render(corrector.survey(warm), warm, detail="network")
        start = time.perf_counter()
        scene = corrector.survey(image)
        surveyed = time.perf_counter()
        with torch.profiler.profile() as profile:
            corrector.render(scene, image[:], detail="network", out=out)
            torch.cuda.synchronize()
        end = time.perf_counter()
    flops = flops_of_tile() / TILE**2 * image.size / 3
    speed = flops / (end - surveyed) / 1e9
    ceiling = setting.ceilings.get(BF16)
    costs = profile.key_averages().table(sort_by="self_cuda_time_total", row_limit=5)
    print_progress(costs)
    return [
        Figure("gigapixel, survey and render", end - start, "s", "10 s", (end - start) / 10),
        Figure("of which survey", surveyed - start, "s"),
        Figure(
            "network's operations",
            speed,
            "GFLOP/s",
            BF16 if ceiling else "",
            speed / ceiling if ceiling else None,
        ),
    ]


BENCHMARKS = (
    Benchmark("detail", "network detail: share of the machine's limit, and of naive eager", run),
    Benchmark(
        "detail-gigapixel",
        "a gigapixel in network detail, RAM to RAM",
        run_gigapixel,
        device="cuda",
    ),
)

if __name__ == "__main__":
    print(json.dumps(measure_naive()))
