"""What breaks around a pipeline: files, disks, the user, many threads, many pipelines."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

import drht_plugin
from drht_plugin import vips
from drht_plugin.libvips.lazy import Pixels


def picture(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 90, (height, width, 3), np.uint8)


def started(script: str, *arguments: Any, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("access", ["random", "sequential"])
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_truncated_source(tmp_path: Path, suffix: str, access: str) -> None:
    """A source that ends early ends the work with an error; no file is left."""
    source, target = tmp_path / f"source{suffix}", tmp_path / "target.tif"
    pyvips.Image.new_from_array(picture(600, 500)).write_to_file(str(source))
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((drht_plugin.WriteError, pyvips.Error)):
        vips.write(
            vips.correct(
                pyvips.Image.new_from_file(str(source), access=access, fail_on="truncated")
            ),
            target,
        )
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


_FULL_DISK = """
import resource, sys
import numpy as np, pyvips
from drht_plugin import vips
from drht_plugin.errors import WriteError
array = np.random.default_rng(0).integers(0, 90, (900, 900, 3), np.uint8)
image = pyvips.Image.new_from_array(array)
corrected = vips.correct(image)
corrected.avg()
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    vips.write(corrected, sys.argv[1])
except WriteError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes")
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_disk_without_room(tmp_path: Path, suffix: str) -> None:
    """Where the disk takes no more, that is said, and what was there before is untouched."""
    target = tmp_path / f"target{suffix}"
    target.write_bytes(b"before")
    process = started(_FULL_DISK, target)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert said.startswith(f"target{suffix}: cannot be written: ")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_bytes() == b"before"


_LONG = """
import sys, time
import numpy as np, pyvips
from drht_plugin import vips
from drht_plugin.libvips.lazy import Header, generate
stage, target = sys.argv[1:]
said = set()
def say(word):
    if word not in said:
        said.add(word)
        print(word)
def pixels(window, around, _):
    if stage == "survey":
        say("survey")
        time.sleep(0.05)
    return np.full((window.height, window.width, 3), 30, np.uint8)
def slow(window):
    say("render")
    time.sleep(0.05)
source = generate(Header(4000, 8000, 3, "uchar", "srgb"), pixels)
scene = None if stage == "survey" else vips.survey(source)
vips.write(vips.correct(source, scene=scene, observe=slow), target)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupted_process(tmp_path: Path) -> None:
    """Ctrl-C, during the survey or the render, ends the process at once; no file is left."""
    stages = ("survey", "render")
    processes = [started(_LONG, stage, tmp_path / f"{stage}.tif") for stage in stages]
    for process, stage in zip(processes, stages, strict=True):
        assert process.stdout is not None
        assert process.stdout.readline() == f"{stage}\n"
        process.send_signal(signal.SIGINT)
    for process in processes:
        _, errors = process.communicate(timeout=20)
        assert process.returncode == -signal.SIGINT
        assert errors.endswith("KeyboardInterrupt\n")
    assert list(tmp_path.iterdir()) == []


def test_four_threads() -> None:
    """Pipelines that are built and evaluated on four threads at once give their own pixels."""
    arrays = [picture(300, 300 + seed, seed) for seed in range(4)]
    expected = [drht_plugin.correct(array) for array in arrays]
    errors: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for turn in range(6):
                index = (first + turn) % 4
                image = pyvips.Image.new_from_array(arrays[index])
                corrected = vips.correct(image)
                got = vips.run(corrected, corrected.numpy) if turn % 2 else corrected.numpy()
                np.testing.assert_array_equal(got, expected[index])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


_MANY = """
import gc
import numpy as np, pyvips
from drht_plugin import vips
from drht_plugin.libvips import lazy
from drht_plugin.vips import _survey
pyvips.cache_set_max(0)
vips.register()
array = np.random.default_rng(0).integers(0, 90, (1000, 1000, 3), np.uint8)
def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
def use(count):
    for turn in range(count):
        image = pyvips.Image.new_from_array(array.copy())
        corrected = vips.correct(image) if turn % 2 else image.drht_correct(wrap=True)
        if turn % 5 == 0:
            corrected.resize(0.5).avg()
use(20)
before = resident()
use(100)
growth = resident() - before
print(len(lazy._generated), len(_survey._surveys), growth)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_hundred_pipelines() -> None:
    """A hundred pipelines, built and dropped, leave neither state nor memory behind."""
    process = started(_MANY)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    works, surveys, growth = map(int, said.split())
    assert (works, surveys) == (0, 0)
    # A hundred such pictures are 300 MB, before anything is made of them; the rest is allocators'.
    assert growth < 100e6
