"""Ultra HDR files that are written: what other readers make of them."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import io_samples as made
import numpy as np
import pytest
from PIL import Image
from readers import by_libvips, by_mpf, by_pillow, map_bytes

from drht_plugin import Corrector, correct_file
from drht_plugin.cli import main
from drht_plugin.errors import InputError


@pytest.fixture(scope="module")
def corrector() -> Corrector:
    """Networks, loaded once."""
    return Corrector()


def backlit(height: int = 240, width: int = 320) -> np.ndarray:
    """A dark room with a window that is brighter than the picture can hold."""
    rows, columns = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    light = 0.02 + 0.05 * columns
    window = (abs(rows - 0.4) < 0.2) & (abs(columns - 0.6) < 0.15)
    light = np.where(window, 0.4 + 2.5 * rows, light)[..., None] * np.array([1.0, 0.9, 0.8])
    coded = 255 * light.clip(0, 1) ** (1 / 2.2)
    return np.rint(coded).astype(np.uint8)


def photograph(path: Path, pixels: np.ndarray | None = None, **options: Any) -> Path:
    """A file of a backlit picture."""
    Image.fromarray(backlit() if pixels is None else pixels).save(path, quality=92, **options)
    return path


def test_base_is_the_plain_output(tmp_path: Path, corrector: Corrector) -> None:
    """Whoever knows no gain maps sees the plain result, pixel for pixel."""
    source = photograph(tmp_path / "a.jpg")
    plain, shining = tmp_path / "plain.jpg", tmp_path / "shining.jpg"
    correct_file(source, plain, corrector=corrector)
    correct_file(source, shining, corrector=corrector, ultra_hdr=True)
    with Image.open(plain) as first, Image.open(shining) as second:
        assert np.array_equal(np.asarray(first), np.asarray(second))


def test_two_decoders_agree(tmp_path: Path, corrector: Corrector) -> None:
    """libvips, by ISO 21496-1, and the published formula, by XMP, read the same HDR picture."""
    target = tmp_path / "a.jpg"
    report = correct_file(
        photograph(tmp_path / "s.png"), target, corrector=corrector, ultra_hdr=True
    )
    theirs, headroom = by_libvips(target)
    ours = by_pillow(target)
    assert headroom == pytest.approx(ours.values["HDRCapacityMax"], abs=1e-4)
    assert report.headroom == pytest.approx(headroom, abs=0.01)
    assert headroom > 0.5
    difference = np.abs(theirs - ours.shown(headroom))
    assert np.quantile(difference, 0.999) < 0.02 * theirs.max()


def test_every_pointer_leads_to_the_map(tmp_path: Path, corrector: Corrector) -> None:
    """MPF and XMP name the same bytes: a JPEG with both descriptions of its values."""
    target = tmp_path / "a.jpg"
    correct_file(photograph(tmp_path / "s.jpg"), target, corrector=corrector, ultra_hdr=True)
    data = target.read_bytes()
    (_, base_end), (start, end) = by_mpf(data)
    assert data[base_end - 2 : base_end] == b"\xff\xd9"
    assert data[start:end] == map_bytes(data)
    assert (start, end) == (base_end, len(data))
    for where in (data[:base_end], data[start:end]):
        assert where.startswith(b"\xff\xd8")
        assert b"urn:iso:std:iso:ts:21496:-1\0" in where
        assert b'hdrgm:Version="1.0"' in where


def test_what_is_not_light_keeps_its_tone(tmp_path: Path, corrector: Corrector) -> None:
    """On an HDR screen the room looks as corrected, and the window shines."""
    source, target = photograph(tmp_path / "s.png"), tmp_path / "a.jpg"
    correct_file(source, target, corrector=corrector, ultra_hdr=True)
    decoded = by_pillow(target)
    gain = decoded.shown(8.0)[..., 1] / decoded.base[..., 1]
    room = (slice(160, 240), slice(0, 320))
    window = (slice(70, 120), slice(160, 220))
    assert gain.min() > 0.97
    assert gain[room].mean() < 1.03
    assert gain[room].max() < 1.08
    assert gain[window].mean() > 1.3
    assert decoded.shown(8.0)[window].max() > 1.2
    assert np.allclose(decoded.shown(0.0), decoded.base)


def test_metadata_stays(tmp_path: Path, corrector: Corrector) -> None:
    """EXIF, profile and XMP are those of the source; the XMP has one description more."""
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-'
        b'syntax-ns#"><r:Description r:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        b' dc:format="image/jpeg"/></r:RDF></x:xmpmeta>'
    )
    source, target = tmp_path / "s.jpg", tmp_path / "a.jpg"
    made.pillow(source, backlit(), quality=90)
    with Image.open(source) as picture:
        picture.save(source, xmp=packet, exif=picture.getexif(), icc_profile=made.profile())
    correct_file(source, target, corrector=corrector, ultra_hdr=True)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert after.getexif().tobytes() == before.getexif().tobytes()
        merged = after.info["xmp"]
    at = packet.index(b"</r:RDF>")
    assert merged.startswith(packet[:at])
    assert merged.endswith(packet[at:])
    rdf = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
    described = ElementTree.fromstring(merged)[0].findall(f"{rdf}Description")
    assert [each.get(f"{rdf}about") for each in described] == ["uuid:1", "uuid:1"]


@pytest.mark.parametrize("turn", [1, 6])
def test_orientation(turn: int, tmp_path: Path, corrector: Corrector) -> None:
    """The map lies as the base is stored, which a viewer turns together."""
    exif = Image.Exif()
    exif[0x0112] = turn
    source, target = tmp_path / "s.jpg", tmp_path / "a.jpg"
    photograph(source, exif=exif)
    correct_file(source, target, corrector=corrector, ultra_hdr=True)
    decoded = by_pillow(target)
    share = decoded.share[..., 0]
    assert share[70:120, 160:220].mean() > 4 * share[150:, :100].mean() + 0.05


@pytest.mark.parametrize("size", [(97, 131), (8, 9), (240, 321)])
def test_odd_sizes_and_gray(size: tuple[int, int], tmp_path: Path, corrector: Corrector) -> None:
    """Sizes that no block divides, and gray pictures, are read by libvips as well."""
    for channels in (1, 3):
        pixels = np.ascontiguousarray(backlit(*size)[..., :channels]).squeeze()
        source, target = tmp_path / f"s{channels}.png", tmp_path / f"a{channels}.jpg"
        correct_file(photograph(source, pixels), target, corrector=corrector, ultra_hdr=True)
        with Image.open(target) as picture:
            assert picture.size == size[::-1]
        assert by_pillow(target).share.shape == (*size, 1)
        assert by_libvips(target)[0].shape[:2] == size


def test_alpha_does_not_shine(tmp_path: Path, corrector: Corrector) -> None:
    """The white ground under transparent pixels stays white on an HDR screen."""
    pixels = np.dstack([backlit(), np.full((240, 320), 255, np.uint8)])
    pixels[:, :200, 3] = 0
    source, target = tmp_path / "s.png", tmp_path / "a.jpg"
    photograph(source, pixels)
    correct_file(source, target, corrector=corrector, ultra_hdr=True)
    decoded = by_pillow(target)
    assert decoded.share[:, :195].max() < 0.02
    assert decoded.share[70:120, 210:225].max() > 0.2


def test_white_paper_does_not_shine(tmp_path: Path, corrector: Corrector) -> None:
    """A page, and a product on white, stay as they are on an HDR screen."""
    page = np.full((320, 240, 3), 255, np.uint8)
    for row in range(20, 300, 12):
        page[row : row + 4, 30 : 210 - row % 50] = 30
    product = np.full((240, 320, 3), 255, np.uint8)
    product[80:160, 110:210] = backlit()[:80, :100] // 2 + 60
    for name, pixels in (("page", page), ("product", product)):
        target = tmp_path / f"{name}.jpg"
        source = photograph(tmp_path / f"{name}.png", pixels)
        correct_file(source, target, corrector=corrector, ultra_hdr=True)
        assert by_pillow(target).shown(8.0).max() < 1.1


def test_no_banding_on_a_sky(tmp_path: Path, corrector: Corrector) -> None:
    """From one pixel to the next, an HDR sky changes by little more than the base does."""
    columns = np.linspace(0.55, 1.25, 1200)
    sky = np.broadcast_to(columns[None, :, None], (400, 1200, 3)) * np.array([0.85, 0.95, 1.0])
    noise = np.random.default_rng(1).normal(0, 0.6, sky.shape)
    pixels = np.rint(255 * sky.clip(0, 1) ** (1 / 2.2) + noise).clip(0, 255).astype(np.uint8)
    source, target = tmp_path / "s.png", tmp_path / "a.jpg"
    photograph(source, pixels)
    correct_file(source, target, corrector=corrector, ultra_hdr=True, quality=95)
    decoded = by_pillow(target)
    stops = decoded.share[..., 0] * decoded.values["GainMapMax"]
    assert stops.max() > 0.2
    smooth = stops.mean(0)
    assert np.abs(np.diff(smooth)).max() < 0.01  # stops; an 8-bit code of the base is about .03
    assert np.abs(np.diff(stops, axis=1)).max() < 0.05


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--ultra-hdr names results .jpg, says the headroom, and refuses other targets before work."""
    source = photograph(tmp_path / "s.png")
    assert main(["correct", str(source), "--ultra-hdr"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"s-corrected\.jpg \(Ultra HDR, \d\.\d stops\)", said)
    assert by_libvips(tmp_path / "s-corrected.jpg")[1] > 0
    wrong = ["correct", str(source), "--ultra-hdr", "-o", str(tmp_path / "b.png")]
    assert main(wrong) == 2
    assert "NAME.jpg" in capsys.readouterr().err
    assert main(["correct", str(source), "--ultra-hdr", "--json", "--overwrite"]) == 0
    assert json.loads(capsys.readouterr().out)["headroom"] > 0


def test_other_targets_are_refused(tmp_path: Path, corrector: Corrector) -> None:
    """The library refuses a target that is no JPEG, and writes nothing."""
    source = photograph(tmp_path / "s.png")
    with pytest.raises(InputError, match="JPEG"):
        correct_file(source, tmp_path / "a.tif", corrector=corrector, ultra_hdr=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["s.png"]


def test_resumed_and_streamed_runs_write_the_same(tmp_path: Path, corrector: Corrector) -> None:
    """In bands and with stored rows the file is the same, map included."""
    source = photograph(tmp_path / "s.jpg")
    files = [tmp_path / f"{name}.jpg" for name in ("a", "b", "c")]
    correct_file(source, files[0], corrector=corrector, ultra_hdr=True)
    correct_file(source, files[1], corrector=corrector, ultra_hdr=True, memory="1M")
    correct_file(source, files[2], corrector=corrector, ultra_hdr=True, resume=True)
    assert files[0].read_bytes() == files[1].read_bytes() == files[2].read_bytes()
