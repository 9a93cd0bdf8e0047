"""`drht correct`, as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import io_samples as made
import numpy as np
import OpenImageIO as oiio
import pytest
from io_samples import SAMPLES, Sample
from PIL import Image

import drht_plugin
from drht_plugin import io
from drht_plugin.bridge import jit
from drht_plugin.cli import main
from drht_plugin.orientation import to_stored

DISPLAY_METADATA = [s for s in SAMPLES if s.exif and s.suffix not in (".avif",)]


def photograph(path: Path, height: int = 48, width: int = 64) -> Path:
    """A small dark JPEG with EXIF and a profile."""
    pixels = (made.values(3, "uint8", height, width) * 0.3).astype(np.uint8)
    made.pillow(path, pixels, quality=90)
    return path


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_every_kind_stays_its_kind(sample: Sample, tmp_path: Path) -> None:
    """Every kind of file comes out with its format, dtype, channels, profile and resolution."""
    source, _ = sample.create(tmp_path)
    assert main(["correct", str(source), "--quiet"]) == 0
    target = source.with_name(f"source-corrected{sample.suffix}")
    before, after = io.read_picture(source), io.read_picture(target)
    assert after.pixels.dtype == before.pixels.dtype
    assert after.pixels.shape == before.pixels.shape
    assert not np.array_equal(after.pixels, before.pixels)
    first, second = before.carrier.metadata, after.carrier.metadata
    assert (second.icc, second.xmp, second.density) == (first.icc, first.xmp, first.density)
    assert bool(second.exif) == bool(first.exif)
    if sample.lossless and sample.channels in (2, 4):
        np.testing.assert_array_equal(after.pixels[..., -1], before.pixels[..., -1])


@pytest.mark.parametrize("sample", DISPLAY_METADATA, ids=lambda s: s.name)
def test_exif_and_orientation_are_kept(sample: Sample, tmp_path: Path) -> None:
    """Camera, exposure, date, GPS and orientation are what they were, by another reader."""
    source, _ = sample.create(tmp_path)
    assert main(["correct", str(source), "--quiet"]) == 0
    target = source.with_name(f"source-corrected{sample.suffix}")
    assert made.tags(target) == made.tags(source)
    if sample.make is made.pillow:
        assert made.tags(target)["Orientation"] == 6


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s.lossless and s.suffix != ".exr"], ids=lambda s: s.name
)
def test_strength_zero_gives_the_pixels_back(sample: Sample, tmp_path: Path) -> None:
    """`--strength 0` writes the stored pixels, bit for bit."""
    source, pixels = sample.create(tmp_path)
    assert main(["correct", str(source), "--strength", "0", "--quiet"]) == 0
    target = source.with_name(f"source-corrected{sample.suffix}")
    np.testing.assert_array_equal(io.read_picture(target).pixels, pixels)


def test_bad_files_are_named_and_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Truncated, empty, misnamed and missing files are named; the others are done; exit code 1."""
    good = photograph(tmp_path / "good.jpg")
    whole = good.read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"this is no picture\n" * 20)
    (tmp_path / "misnamed.jpg").write_bytes(b"%PDF-1.7\n")
    bad = ["cut.jpg", "empty.jpg", "text.jpg", "misnamed.jpg", "missing.jpg"]
    names = [str(tmp_path / name) for name in (bad[0], "good.jpg", *bad[1:])]
    assert main(["correct", *names, "--output", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    for name in bad:
        assert f"{name}: " in err
    assert "PDF" in err
    assert "5 of 6 pictures failed" in err
    assert "good.jpg" in out
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good.jpg"]


def test_existing_results_are_not_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An existing target stays as it is and is named; --overwrite replaces it."""
    source = photograph(tmp_path / "a.jpg")
    target = tmp_path / "b.jpg"
    target.write_bytes(b"mine")
    assert main(["correct", str(source), "-o", str(target)]) == 1
    assert target.read_bytes() == b"mine"
    assert "--overwrite" in capsys.readouterr().err
    assert main(["correct", str(source), "-o", str(target), "--overwrite", "--quiet"]) == 0
    assert io.read_picture(target).pixels.shape == (48, 64, 3)


def test_the_picture_itself_is_never_the_target(tmp_path: Path) -> None:
    """A folder that holds the source is refused as the place for the result."""
    source = photograph(tmp_path / "a.jpg")
    before = source.read_bytes()
    assert main(["correct", str(source), "-o", str(tmp_path)]) == 1
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--strength", "2.1"], "0 to 2"),
        (["--exposure", "-4"], "-3 to 3"),
        (["--preset", "vivid"], "natural"),
        (["--shadows", "x"], "0 to 1"),
        (["--detail", "magic"], "guided"),
        (["--model", "no-such-model"], "default"),
        (["--device", "abacus"], "cuda"),
        (["--threads", "0"], "threads"),
    ],
)
def test_bad_arguments(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong argument is exit code 2, says what is accepted, and nothing is written."""
    source = photograph(tmp_path / "a.jpg")
    try:
        code = main(["correct", str(source), *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    assert told in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]


def test_two_sources_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two pictures that would be written to one file stop the command before any work."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        photograph(tmp_path / folder / "same.jpg")
    sources = [str(tmp_path / f / "same.jpg") for f in ("a", "b")]
    assert main(["correct", *sources, "-o", str(tmp_path / "out")]) == 2
    assert "same.jpg" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_json_tells_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one line for each file with the times of survey and render."""
    source = photograph(tmp_path / "a.jpg")
    assert main(["correct", str(source), "--json", "--hdr"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["source"] == str(source)
    assert (report["height"], report["width"], report["dtype"]) == (48, 64, "uint8")
    assert {"read", "survey", "render", "write", "hdr"} <= set(report["seconds"])
    assert min(report["seconds"].values()) >= 0


def test_noise_that_shows_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A noisy dark picture earns a word on network detail; a clean one, and who asked, do not."""
    random = np.random.default_rng(1)
    clean = np.broadcast_to(np.linspace(5, 40, 400)[:, None], (400, 300))
    pictures = {"clean": clean, "noisy": clean + random.normal(0, 4, clean.shape)}
    for name, codes in pictures.items():
        rgb = np.repeat(codes[..., None].clip(0, 255).round().astype(np.uint8), 3, -1)
        Image.fromarray(rgb).save(tmp_path / f"{name}.png")
    for name, detail, told in (
        ("clean", "auto", False),
        ("noisy", "auto", True),
        ("noisy", "guided", False),
    ):
        target = tmp_path / "out.png"
        command = ["correct", str(tmp_path / f"{name}.png"), "-o", str(target), "--overwrite"]
        assert main([*command, "--detail", detail]) == 0
        assert ("--detail network" in capsys.readouterr().err) == told


def test_hdr_estimate_is_half_float_and_linear(tmp_path: Path) -> None:
    """--hdr writes a half-float RGB EXR of the picture's size, finite and not negative."""
    source = photograph(tmp_path / "a.jpg")
    assert main(["correct", str(source), "--hdr", "--quiet"]) == 0
    image = oiio.ImageBuf(str(tmp_path / "a-hdr.exr"))
    assert image.spec().format == oiio.HALF
    pixels = np.asarray(image.get_pixels(oiio.FLOAT))
    assert pixels.shape == (64, 48, 3)  # upright
    assert np.isfinite(pixels).all()
    assert pixels.min() >= 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_hdr_estimate_is_upright(orientation: int, tmp_path: Path) -> None:
    """Whatever way a picture is stored, its estimate lies as a viewer shows the picture."""
    source = photograph(tmp_path / "a.png")
    codes = np.asarray(Image.open(source))
    stored = Image.fromarray(np.ascontiguousarray(to_stored(codes, orientation)))
    stored.save(source, exif=made.exif(orientation))
    assert main(["correct", str(source), "--hdr", "--quiet", "--device", "cpu"]) == 0
    estimate = io.read_picture(tmp_path / "a-hdr.exr").pixels
    expected = drht_plugin.estimate_hdr(codes, device="cpu").astype(np.float16)
    np.testing.assert_array_equal(estimate, expected)


def test_unwritable_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target whose folder cannot be made is named, and the picture is untouched."""
    source = photograph(tmp_path / "a.jpg")
    (tmp_path / "file").write_bytes(b"")
    assert main(["correct", str(source), "-o", str(tmp_path / "file" / "b.jpg")]) == 1
    assert "is not a folder" in capsys.readouterr().err


FULL_DISK = """
import resource, signal, sys
from drht_plugin.cli import main
from drht_plugin.orientation import to_stored
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
sys.exit(main(["correct", *sys.argv[1:]]))
"""


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A disk that fills up while a picture is written is exit code 1, and no file is left."""
    source, cache = tmp_path / "a.png", tmp_path / "numba"
    made.pillow(source, made.values(3, "uint8", 200, 200))
    # The cache lacks one of the compiled kernels, which cannot be written either.
    assert main(["correct", str(source), "--quiet", "-o", str(tmp_path / "whole.png")]) == 0
    kept = jit._folder()
    for file in kept.rglob("*.nb?"):
        if "area_average" not in file.name:
            copied = cache / file.relative_to(kept.parent)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copied)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(source), "-o", str(tmp_path / "out" / "b.png")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
    )
    assert done.returncode == 1, done.stderr
    assert "b.png: " in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
    assert (cache / kept.name / "_area_average.lock").exists()
    assert not list(cache.rglob("*area_average*.nbc"))


SLOW = """
import sys, time
from drht_plugin import cli, io
def slowly(*arguments):
    print("writing", flush=True)
    time.sleep(2)
io.PictureSink.__setitem__ = slowly
sys.exit(cli.main(["correct", *sys.argv[1:]]))
"""


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C is exit code 130, and leaves no file."""
    source = photograph(tmp_path / "a.jpg")
    target = tmp_path / "out" / "b.jpg"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(source), "-o", str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert list(target.parent.iterdir()) == []


def test_help_teaches() -> None:
    """--help shows examples and the exit codes."""
    done = subprocess.run(
        [sys.executable, "-m", "drht_plugin.cli", "correct", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "examples:" in done.stdout
    assert "exit codes:" in done.stdout
