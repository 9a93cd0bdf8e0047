"""A file is written whole or not at all."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
from io_samples import SAMPLES

from drht_plugin import io
from drht_plugin.errors import WriteError


def picture(folder: Path) -> io.Picture:
    made.pillow(folder / "source.png", made.values(3, "uint8"))
    return io.read_picture(folder / "source.png")


def test_folder_that_cannot_take_it(tmp_path: Path) -> None:
    """A missing folder, a file as folder, and a folder as target are named, and nothing stays."""
    first = picture(tmp_path)
    (tmp_path / "taken.png").mkdir()
    for target in ("missing/b.png", "source.png/b.png", "taken.png", "missing/b.tif"):
        with pytest.raises(WriteError) as caught:
            io.write_picture(tmp_path / target, first.pixels, first)
        assert str(caught.value).startswith(Path(target).name + ": cannot be written: ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source.png", "taken.png"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from drht_plugin import io
from drht_plugin.errors import WriteError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
for source in sorted(folder.glob("source*")):
    picture = io.read_picture(source)
    whole = folder / f"whole{source.suffix}"
    io.write_picture(whole, picture.pixels, picture)
    size = whole.stat().st_size
    whole.write_bytes(b"old")
    for limit in (1, size // 2, size - 200, size - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            io.write_picture(whole, picture.pixels, picture)
            print(source.name, limit, "of", size, "went unnoticed")
        except WriteError as error:
            if not str(error).startswith(f"{whole.name}: cannot be written: "):
                print(error)
            if source.suffix in (".png", ".jpg") and "File too large" not in str(error):
                print("no reason:", error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        if whole.read_bytes() != b"old":
            print(whole.name, "was changed")
    whole.unlink()
"""


def test_full_disk(tmp_path: Path) -> None:
    """A disk that fills up, even at the last byte, is an error for every format.

    PNG and JPEG, which we store ourselves, give the system's reason. No file is left, and the one
    that was there is not touched.
    """
    names = set()
    for sample in SAMPLES:
        path = tmp_path / f"source-{sample.name}{sample.suffix}"
        sample.make(path, made.values(sample.channels, sample.dtype), **dict(sample.options))
        names.add(path.name)
    for suffix in (".png", ".jpg"):  # more than is held before any of it is stored
        path = tmp_path / f"source-long{suffix}"
        made.pillow(path, made.values(3, "uint8", 900, 900))
        names.add(path.name)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert {p.name for p in tmp_path.iterdir()} == names


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jxl"])
@pytest.mark.parametrize("stage", ["os.fsync", "os.replace"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interrupted(
    suffix: str, stage: str, failure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stops a write, nothing is left and the old file stays."""
    first = picture(tmp_path)
    target = tmp_path / f"b{suffix}"
    target.write_bytes(b"old")

    def fail(*_: object) -> None:
        assert len(list(tmp_path.iterdir())) == 3  # it is there when it must go
        raise failure

    monkeypatch.setattr(stage, fail)
    with pytest.raises((KeyboardInterrupt, WriteError)):
        io.write_picture(target, first.pixels, first)
    assert target.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([target.name, "source.png"])


def test_replaced_target(tmp_path: Path) -> None:
    """A target that exists is replaced, through a link too, and keeps its permissions."""
    first = picture(tmp_path)
    real = tmp_path / "real.png"
    real.write_bytes(b"old")
    real.chmod(0o640)
    (tmp_path / "link.png").symlink_to(real)
    io.write_picture(tmp_path / "link.png", first.pixels, first)
    assert (tmp_path / "link.png").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    np.testing.assert_array_equal(io.read_picture(real).pixels, first.pixels)


def test_source_as_target(tmp_path: Path) -> None:
    """A file may be rewritten in place."""
    for sample in SAMPLES:
        path, _ = sample.create(tmp_path)
        first = io.read_picture(path)
        io.write_picture(path, first.pixels, first)
        assert io.read_picture(path).pixels.shape == first.pixels.shape
