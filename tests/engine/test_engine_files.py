"""One file to another, by a corrector that knows its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from PIL import Image, ImageCms
from strategies import PlainNetworks, corrector, picture

from drht_plugin import FileReport, InputError, ReadError, WriteError, correct_file
from drht_plugin.io import read_picture, write_hdr

STUB = corrector()
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    exif = Image.Exif()
    exif[0x10F], exif[0x112] = "ACME", 6
    exif.get_ifd(0x8769)[0x9003] = "2024:01:02 03:04:05"
    image = Image.fromarray(picture(48, 64, 3, "uint8"))
    image.save(tmp_path / "photo.jpg", quality=92, exif=exif, icc_profile=PROFILE)
    return tmp_path / "photo.jpg"


def stored(path: Path, pixels: Any) -> Path:
    """A PNG."""
    Image.fromarray(pixels).save(path)
    return path


def test_photo_keeps_what_came_with_it(photo: Path, tmp_path: Path) -> None:
    """A corrected JPEG has the source's profile and EXIF, and other pixels."""
    before = photo.read_bytes()
    correct_file(photo, tmp_path / "out.jpg", corrector=STUB)
    assert photo.read_bytes() == before
    with Image.open(photo) as source, Image.open(tmp_path / "out.jpg") as target:
        assert target.info["icc_profile"] == source.info["icc_profile"] == PROFILE
        exif = target.getexif()
        assert (exif[0x10F], exif[0x112]) == ("ACME", 6)
        assert exif.get_ifd(0x8769)[0x9003] == "2024:01:02 03:04:05"
        assert target.size == source.size
        changed = np.abs(np.asarray(target).astype(int) - np.asarray(source))
        assert changed.mean() > 5


@pytest.mark.parametrize("channels", [None, 3, 4])
def test_file_is_the_array(tmp_path: Path, channels: int | None) -> None:
    """The file's pixels are what `correct` gives for the array, with every setting."""
    image = picture(30, 40, channels, "uint8")
    source = stored(tmp_path / "a.png", image)
    settings: dict[str, Any] = {"strength": 0.8, "shadows": 0.5, "highlights": 0.9, "wrap": True}
    correct_file(source, tmp_path / "b.png", corrector=STUB, transfer="linear", **settings)
    expected = STUB.correct(image, transfer="linear", **settings)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), expected)


def test_report(photo: Path, tmp_path: Path) -> None:
    """The report names files, size, channels and type, and has the time of every part."""
    target, hdr = tmp_path / "out.png", tmp_path / "out.exr"
    seen: list[float] = []
    report = correct_file(photo, target, corrector=STUB, hdr=hdr, progress=seen.append)
    assert report == FileReport(
        source=str(photo),
        target=str(target),
        hdr=str(hdr),
        height=48,
        width=64,
        channels=3,
        dtype="uint8",
        lifted_noise=report.lifted_noise,
        detail="guided",
        left_alone=False,
        seconds=report.seconds,
    )
    assert set(report.seconds) == {"read", "load", "survey", "render", "hdr", "write"}
    assert all(value >= 0 for value in report.seconds.values())
    assert seen == sorted(seen)
    assert seen[-1] == 1
    plain = correct_file(photo, tmp_path / "plain.png", corrector=STUB)
    assert plain.hdr is None
    assert "hdr" not in plain.seconds


@pytest.mark.parametrize("channels", [None, 3, 4])
def test_hdr(tmp_path: Path, channels: int | None) -> None:
    """The HDR file is half-float RGB, linear, with H = 1 where the input clips."""
    image = np.full((40, 60) if channels is None else (40, 60, channels), 255, np.uint8)
    image[:, :20, ...] = 128
    if channels == 4:
        image[..., 3] = 255
    source = stored(tmp_path / "a.png", image)
    correct_file(
        source, tmp_path / "b.png", hdr=tmp_path / "h.exr", corrector=corrector(PlainNetworks())
    )
    buffer = oiio.ImageBuf(str(tmp_path / "h.exr"))
    assert buffer.spec().format == oiio.HALF
    assert buffer.spec().nchannels == 3
    radiance = np.asarray(buffer.get_pixels(oiio.FLOAT))
    assert radiance.shape == (40, 60, 3)
    np.testing.assert_allclose(radiance[:, 30:], 1, atol=2e-3)
    np.testing.assert_allclose(radiance[:, :10], (128 / 255) ** 2.2, rtol=5e-3)


def test_linear_by_format(tmp_path: Path) -> None:
    """OpenEXR is taken for scene-linear, and stays so."""
    linear = picture(30, 40, 3, "float32")
    write_hdr(tmp_path / "a.exr", linear)
    correct_file(tmp_path / "a.exr", tmp_path / "b.exr", corrector=STUB)
    source, target = (read_picture(tmp_path / name).pixels for name in ("a.exr", "b.exr"))
    assert target.dtype == source.dtype == np.float16
    assert np.array_equal(target, STUB.correct(source, transfer="linear"))


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\xff\xd8\xff\xe0 broken"])
def test_unreadable(tmp_path: Path, content: bytes | None) -> None:
    """A source that cannot be read is a ReadError with its name, and leaves no target."""
    source = tmp_path / "bad.jpg"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(ReadError, match=r"bad\.jpg"):
        correct_file(source, tmp_path / "out.png", hdr=tmp_path / "out.exr", corrector=STUB)
    assert {path.name for path in tmp_path.iterdir()} <= {"bad.jpg"}


def test_cut_photo(photo: Path, tmp_path: Path) -> None:
    """Half a photo is refused, and a target that was there stays as it was."""
    photo.write_bytes(photo.read_bytes()[:900])
    (tmp_path / "out.jpg").write_bytes(b"precious")
    with pytest.raises(ReadError, match=r"photo\.jpg"):
        correct_file(photo, tmp_path / "out.jpg", corrector=STUB)
    assert (tmp_path / "out.jpg").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strength": 3}, "strength is 3; expected"),
        ({"detail": "fine"}, "detail is 'fine'; expected"),
        ({"transfer": "log"}, "transfer is 'log'; expected"),
        ({"hdr": "out.tif"}, "out.tif; expected a name ending in .exr"),
        ({"wrap": "yes"}, "wrap is 'yes'; expected True or False"),
        ({"wrap": 1}, "wrap is 1; expected True or False"),
        ({"resume": "no"}, "resume is 'no'; expected True or False"),
        ({"quality": "50"}, "quality is '50'; expected a whole number"),
        ({"quality": 50.5}, "quality is 50.5; expected a whole number"),
        ({"background": (1, 2, 3)}, r"background is \(1, 2, 3\); expected a colour"),
        ({"ultra_hdr": "no"}, "ultra_hdr is 'no'; expected True or False"),
        ({"quality": 0}, "quality is 0; it goes from 1 to 100"),
    ],
)
def test_bad_settings(photo: Path, tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    """Settings out of range are refused, and leave no target."""
    with pytest.raises(InputError, match=words):
        correct_file(photo, tmp_path / "out.jpg", corrector=STUB, **settings)
    assert not (tmp_path / "out.jpg").exists()


def test_bad_target(photo: Path, tmp_path: Path) -> None:
    """A target that cannot be written, or of an unknown kind, is refused by name."""
    with pytest.raises(WriteError, match=r"out\.png"):
        correct_file(photo, tmp_path / "none" / "out.png", corrector=STUB)
    with pytest.raises(InputError, match=r"out\.xyz"):
        correct_file(photo, tmp_path / "out.xyz", corrector=STUB)
    assert {path.name for path in tmp_path.iterdir()} == {"photo.jpg"}


def test_cancelled(photo: Path, tmp_path: Path) -> None:
    """What the progress callback raises comes through, and leaves no target."""

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        correct_file(photo, tmp_path / "out.jpg", corrector=STUB, progress=stop)
    assert {path.name for path in tmp_path.iterdir()} == {"photo.jpg"}


def test_onto_itself(photo: Path) -> None:
    """A file may be corrected in place; with strength 0 a JPEG stays close to what it was."""
    before = np.asarray(Image.open(photo)).astype(int)
    correct_file(photo, photo, corrector=STUB, strength=0)
    after = np.asarray(Image.open(photo)).astype(int)
    assert np.abs(after - before).mean() < 4
