"""What is left of the machine, of control groups and of the process's limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drht_plugin import free_memory
from drht_plugin.free_memory import Room

GB = 1 << 30

MACHINE = "MemTotal: 33554432 kB\nMemAvailable: 4194304 kB\nSwapFree: 1048576 kB\n"
SECOND = {
    "proc/self/cgroup": "0::/app/job\n",
    "sys/fs/cgroup/app/memory.max": f"{2 * GB}\n",
    "sys/fs/cgroup/app/memory.current": f"{GB}\n",
    "sys/fs/cgroup/app/memory.stat": f"anon 5\ninactive_file {GB // 4}\nactive_file 0\n",
    "sys/fs/cgroup/app/job/memory.max": "max\n",
    "sys/fs/cgroup/app/job/memory.current": f"{GB}\n",
}
FIRST = {
    "proc/self/cgroup": "5:devices:/\n4:memory:/box/inner\n0::/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GB}\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2 * GB}\n",
    "sys/fs/cgroup/memory/memory.stat": "cache 9\ntotal_inactive_file 0\n",
}
NONE = {
    "proc/self/cgroup": "4:memory:/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Room(5 * GB, "free on this machine")),
        (NONE, Room(5 * GB, "free on this machine")),
        (SECOND, Room(GB + GB // 4, "left to this container or service")),
        (FIRST, Room(GB, "left to this container or service")),
    ],
)
def test_the_least_counts(
    files: dict[str, str], expected: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups above a process bound it too; cached files of a group do not count as used."""
    for name, text in {"proc/meminfo": MACHINE, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(free_memory, "_ROOT", tmp_path)
    monkeypatch.setattr(free_memory, "_of_limits", lambda: ())
    assert free_memory.free_memory() == expected
    assert free_memory.unswapped_memory() == min(expected.bytes, 4 * GB)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_limit_of_the_process() -> None:
    """What a process may still take under `ulimit -v` is the limit less what it has."""
    code = "from drht_plugin.free_memory import free_memory; print(free_memory())"
    words = ["bash", "-c", f"ulimit -v 1000000; {sys.executable} -c '{code}'"]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "left by ulimit -v, which is 1000000" in said
    assert 0 < int(said.partition("bytes=")[2].partition(",")[0]) < 1000000 << 10


def test_this_machine() -> None:
    """A real machine has some memory, and no more than an absurd amount."""
    assert free_memory.free_memory().bytes > 1 << 20
