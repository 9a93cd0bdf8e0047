"""`drht warm-up`, and what the command says while kernels are compiled."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import io_samples as made

CORRECT = [sys.executable, "-m", "drht_plugin.cli", "correct"]


def on_a_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What a command prints to a terminal as its stderr."""
    reading, writing = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    said = b""
    try:
        while part := os.read(reading, 4096):
            said += part
    except OSError:  # how a terminal ends on Linux
        pass
    os.close(reading)
    assert process.wait(timeout=300) == 0
    return said.decode()


def test_first_runs_and_warming_up(tmp_path: Path) -> None:
    """With nothing compiled the command says what it waits for; with a cache it does not.

    After `drht warm-up` no kernel is compiled for pictures of that type.
    """
    cache = tmp_path / "kernels"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    picture = tmp_path / "a.tif"
    made.tiff(picture, made.values(3, "uint8", 40, 60))
    command = [*CORRECT, str(picture), "--overwrite"]
    assert "compiling kernels, on the first run only" in on_a_terminal(command, environment)
    warm_up = [sys.executable, "-m", "drht_plugin.cli", "warm-up", "--dtype", "uint8"]
    subprocess.run(warm_up, env=environment, check=True, timeout=600, stdout=subprocess.DEVNULL)
    compiled = {path.name for path in cache.rglob("*.nbc")}
    assert "compiling" not in on_a_terminal(command, environment)
    for channels in (1, 4):
        made.tiff(picture, made.values(channels, "uint8", 70, 90))
        options = ["--overwrite", "--detail", "network"]
        subprocess.run([*CORRECT, str(picture), *options], env=environment, check=True, timeout=300)
    assert {path.name for path in cache.rglob("*.nbc")} == compiled
