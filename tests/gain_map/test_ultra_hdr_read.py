"""Ultra HDR pictures that are corrected: their own map tells what is above white."""

import io
import struct
from pathlib import Path

import io_samples as made
import numpy as np
import OpenImageIO as oiio
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from readers import by_libvips, by_pillow

from drht_plugin import Corrector, correct_file
from drht_plugin.colour.cicp import Cicp
from drht_plugin.io import GainMapValues, open_picture, read_picture
from drht_plugin.io.metadata import gain_map

FAULTS = Path(__file__).parents[3] / "shared/faults"


NAMESPACES = (
    'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
    'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
)
AROUND = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    "{}</rdf:RDF></x:xmpmeta>"
)


@pytest.fixture(scope="module")
def corrector() -> Corrector:
    """Networks, loaded once."""
    return Corrector()


def scene(height: int = 240, width: int = 320) -> np.ndarray:
    """Light of a room with two windows: of 2 and of 6 times white."""
    light = np.tile(np.linspace(0.05, 0.5, width), (height, 1))
    light[40:120, 60:120] = 2
    light[40:120, 200:260] = 6
    return light[..., None] * np.array([1.0, 0.97, 0.94])


def coded(light: np.ndarray) -> np.ndarray:
    """8-bit sRGB codes of light, clipped at white."""
    x = light.clip(0, 1)
    codes = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.rint(255 * codes).astype(np.uint8)


def by_phone(path: Path, light: np.ndarray) -> Path:
    """A file as phones write them: hdrgm XMP and a directory, a quarter-size map, no ISO block."""
    base = coded(light)
    stops = np.log2((light.max(-1) + 1 / 64) / (light.clip(0, 1).max(-1) + 1 / 64))
    small = stops.reshape(stops.shape[0] // 4, 4, stops.shape[1] // 4, 4).mean((1, 3))
    codes = np.rint(255 * (small / 3).clip(0, 1)).astype(np.uint8)
    inner = (
        f'<rdf:Description rdf:about="" {NAMESPACES} hdrgm:Version="1.0" hdrgm:GainMapMin="0" '
        'hdrgm:GainMapMax="3" hdrgm:Gamma="1" hdrgm:OffsetSDR="0.015625" '
        'hdrgm:OffsetHDR="0.015625" hdrgm:HDRCapacityMin="0" hdrgm:HDRCapacityMax="3" '
        'hdrgm:BaseRenditionIsHDR="False"/>'
    )
    return with_map(path, base, with_xmp(jpeg(codes), AROUND.format(inner)))


def with_map(path: Path, base: np.ndarray, gain: bytes) -> Path:
    """A file of a base and the JPEG of its map, which a directory names."""
    directory = (
        f'<rdf:Description rdf:about="" {NAMESPACES} hdrgm:Version="1.0"><Container:Directory>'
        '<rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" '
        'Item:Mime="image/jpeg"/></rdf:li><rdf:li rdf:parseType="Resource"><Container:Item '
        f'Item:Semantic="GainMap" Item:Mime="image/jpeg" Item:Length="{len(gain)}"/></rdf:li>'
        "</rdf:Seq></Container:Directory></rdf:Description>"
    )
    path.write_bytes(with_xmp(jpeg(base), AROUND.format(directory)) + gain)
    return path


def jpeg(pixels: np.ndarray) -> bytes:
    """A JPEG of pixels."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=95)
    return file.getvalue()


def with_xmp(data: bytes, packet: str) -> bytes:
    """A JPEG with an XMP packet."""
    payload = b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()
    return data[:2] + struct.pack(">BBH", 0xFF, 0xE1, len(payload) + 2) + payload + data[2:]


def windows(light: np.ndarray) -> tuple[float, float]:
    """Mean light of the two windows."""
    return float(light[60:100, 75:105].mean()), float(light[60:100, 215:245].mean())


@pytest.mark.parametrize("writer", ["phone", "libvips"])
def test_highlights_stay(writer: str, tmp_path: Path, corrector: Corrector) -> None:
    """What the base clipped shines in the result as in the source: 1 and 2.6 stops above white."""
    source, target = tmp_path / "s.jpg", tmp_path / "a.jpg"
    if writer == "phone":
        by_phone(source, scene())
    else:
        image = pyvips.Image.new_from_array(scene().astype(np.float32))
        image.copy(interpretation="scrgb").uhdrsave(str(source))
        with open_picture(source) as picture:
            assert picture.gain_map is not None
    before = by_libvips(source)[0] if writer == "libvips" else scene()
    report = correct_file(source, target, corrector=corrector)
    after = by_pillow(target).shown(8.0)
    assert report.headroom is not None
    assert "gain map" not in report.dropped
    (dim, bright), (dim_then, bright_then) = windows(after), windows(before)
    assert np.log2(bright / dim) == pytest.approx(np.log2(bright_then / dim_then), abs=0.2)
    middle = np.s_[150:, 150:170]
    relative = np.log2(bright / after[middle].mean()) - np.log2(bright_then / before[middle].mean())
    assert abs(relative) < 0.6


def test_estimate_is_what_the_map_tells(tmp_path: Path, corrector: Corrector) -> None:
    """The HDR estimate of such a file is its HDR picture, not a guess."""
    source = by_phone(tmp_path / "s.jpg", scene())
    correct_file(source, tmp_path / "a.jpg", corrector=corrector, hdr=tmp_path / "a.exr")
    estimate = np.asarray(oiio.ImageBuf(str(tmp_path / "a.exr")).get_pixels())
    for found, true in zip(windows(estimate), windows(scene()), strict=True):
        assert found == pytest.approx(true, rel=0.05)


def test_map_changes_the_correction(tmp_path: Path, corrector: Corrector) -> None:
    """The survey sees what the map tells: other highlights give another scene."""
    results = []
    for name, light in (("far", scene()), ("near", np.minimum(scene(), 1.3))):
        source = by_phone(tmp_path / f"{name}.jpg", light)
        target = tmp_path / f"{name}.png"
        correct_file(source, target, corrector=corrector)
        results.append(read_picture(target).pixels.astype(int))
    assert np.abs(results[0] - results[1]).max() > 2


def test_base_stays_at_no_strength(tmp_path: Path, corrector: Corrector) -> None:
    """Without any correction the base is the source's, and the map leads to the same highlights."""
    source, target = by_phone(tmp_path / "s.jpg", scene()), tmp_path / "a.jpg"
    correct_file(source, target, corrector=corrector, strength=0, quality=98)
    with Image.open(source) as before, Image.open(target) as after:
        assert np.abs(np.asarray(before, int) - np.asarray(after, int)).mean() < 1
    found, true = windows(by_pillow(target).shown(8.0)), windows(scene())
    assert np.abs(np.log2(np.array(found) / true)).max() < 0.3


@pytest.mark.parametrize("turn", [3, 6])
def test_stored_turned(turn: int, tmp_path: Path, corrector: Corrector) -> None:
    """The map of a picture that is stored turned lies as that is stored."""
    plain = by_phone(tmp_path / "s.jpg", scene()).read_bytes()
    exif = Image.Exif()
    exif[0x0112] = turn
    payload = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    segment = struct.pack(">BBH", 0xFF, 0xE1, len(payload) + 2) + payload
    source, target = tmp_path / "t.jpg", tmp_path / "a.jpg"
    source.write_bytes(plain[:2] + segment + plain[2:])
    correct_file(source, target, corrector=corrector)
    dim, bright = windows(by_pillow(target).shown(8.0))
    assert np.log2(bright / dim) == pytest.approx(np.log2(3), abs=0.25)


@pytest.mark.skipif(not FAULTS.is_dir(), reason="no ../shared/faults")
@pytest.mark.parametrize("name", ["ultra_hdr.jpg", "ultrahdr.jpg"])
def test_files_of_others(name: str, tmp_path: Path, corrector: Corrector) -> None:
    """An Ultra HDR file gives one; where its map has no values, by the estimate."""
    report = correct_file(FAULTS / name, tmp_path / "a.jpg", corrector=corrector)
    states_values = name == "ultrahdr.jpg"
    assert ("gain map (without its values)" in report.dropped) != states_values
    light, headroom = by_libvips(tmp_path / "a.jpg")
    assert report.headroom == pytest.approx(headroom, abs=0.01)
    assert light.max() > 1 or not states_values


@pytest.mark.parametrize("damage", ["cut", "noise", "absurd"])
def test_bad_map_costs_no_picture(damage: str, tmp_path: Path, corrector: Corrector) -> None:
    """A damaged map is said, and the picture corrected."""
    source = by_phone(tmp_path / "s.jpg", scene())
    data = bytearray(source.read_bytes())
    start = data.rindex(b"\xff\xd8\xff")
    if damage == "cut":
        at = data.rindex(b"\xff\xda")
        data[at + 40 :] = bytes(len(data) - at - 40)
    elif damage == "noise":
        data[start:] = b"\xff\xd8" + bytes(len(data) - start - 2)
    else:
        data[:] = data.replace(b'hdrgm:Gamma="1"', b'hdrgm:Gamma="0"')
    source.write_bytes(data)
    report = correct_file(source, tmp_path / "a.jpg", corrector=corrector)
    assert any(each.startswith("gain map") for each in report.dropped)


def test_no_map_is_made_where_none_is_wanted(tmp_path: Path, corrector: Corrector) -> None:
    """`ultra_hdr=False`, other formats, and files that only claim a map get none."""
    source = by_phone(tmp_path / "s.jpg", scene())
    report = correct_file(source, tmp_path / "a.jpg", corrector=corrector, ultra_hdr=False)
    assert report.headroom is None
    assert "gain map" in report.dropped
    assert b"hdrgm" not in (tmp_path / "a.jpg").read_bytes()
    assert correct_file(source, tmp_path / "a.png", corrector=corrector).headroom is None
    cut = tmp_path / "cut.jpg"
    data = source.read_bytes()
    cut.write_bytes(data[: data.rindex(b"\xff\xd8\xff")])
    assert correct_file(cut, tmp_path / "c.jpg", corrector=corrector).headroom is None


numbers = st.floats(-8, 8, width=32)
three = st.tuples(numbers, numbers, numbers)


@given(least=three, rise=st.floats(0, 8), gamma=st.floats(0.25, 4), offset=st.floats(0, 0.5))
def test_values_survive_both_forms(
    least: tuple[float, ...], rise: float, gamma: float, offset: float
) -> None:
    """Values come back from ISO's block and from XMP, of one channel and of three."""
    most = tuple(each + rise for each in least)
    values = GainMapValues(least, most, (gamma,) * 3, (offset,) * 3, (offset / 2,) * 3, 0.0, 3.0)
    for again in (
        gain_map.from_iso(gain_map.to_iso(values)),
        gain_map.from_xmp(gain_map.to_xmp(values)),
    ):
        for name in ("least", "most", "gamma", "base_offset", "hdr_offset"):
            assert getattr(again, name) == pytest.approx(getattr(values, name), abs=2e-6)
        assert again.most_headroom == pytest.approx(3.0)


@given(block=st.binary(max_size=200))
def test_any_block_is_values_or_refused(block: bytes) -> None:
    """No bytes raise anything but ValueError."""
    for read in (gain_map.from_iso, gain_map.from_xmp):
        try:
            read(block)
        except ValueError:
            continue


def with_iso(gain: bytes, values: GainMapValues) -> bytes:
    """The JPEG of a map with ISO's block."""
    payload = gain_map.ISO_NAME + gain_map.to_iso(values)
    return gain[:2] + struct.pack(">BBH", 0xFF, 0xE2, len(payload) + 2) + payload + gain[2:]


@pytest.mark.parametrize("in_base_colours", [True, False])
def test_map_applies_in_its_colours(
    in_base_colours: bool, tmp_path: Path, corrector: Corrector
) -> None:
    """The gain of three channels applies in the base's sRGB, or the HDR picture's Display P3."""
    stops, light = np.array([0.5, 1.5, 2.5]), np.array([0.7, 0.2, 0.1])
    codes = np.full((48, 64, 3), np.rint(255 * stops / 3), np.uint8)
    values = GainMapValues(
        most=(3.0,) * 3,
        base_offset=(0.0,) * 3,
        hdr_offset=(0.0,) * 3,
        most_headroom=3.0,
        in_base_colours=in_base_colours,
    )
    file = io.BytesIO()
    options = {"quality": 100, "subsampling": 0, "icc_profile": Cicp(12, 13).profile()}
    Image.fromarray(codes).save(file, "jpeg", **options)
    base = coded(np.broadcast_to(light, (48, 64, 3)))
    source = with_map(tmp_path / "s.jpg", base, with_iso(file.getvalue(), values))
    correct_file(source, tmp_path / "a.png", corrector=corrector, hdr=tmp_path / "a.exr")
    found = np.asarray(oiio.ImageBuf(str(tmp_path / "a.exr")).get_pixels())[20:28, 20:40]
    to_p3 = np.array([[0.8225, 0.1774, 0], [0.0332, 0.9669, 0], [0.0171, 0.0724, 0.9108]])
    matrix = np.eye(3) if in_base_colours else to_p3
    expected = np.linalg.inv(matrix) @ (2**stops * (matrix @ light))
    assert found.mean((0, 1)) == pytest.approx(expected, rel=0.04)


def test_map_of_an_hdr_base(tmp_path: Path, corrector: Corrector) -> None:
    """A map that leads from an HDR base down is left out, and said."""
    values = GainMapValues(least_headroom=3.0, most_headroom=0.0)
    gain = with_iso(jpeg(np.zeros((12, 16), np.uint8)), values)
    source = with_map(tmp_path / "s.jpg", coded(scene(48, 64)), gain)
    for target in ("a.jpg", "a.png"):
        report = correct_file(source, tmp_path / target, corrector=corrector)
        assert "gain map (leading from HDR down)" in report.dropped


def test_plain_files_have_no_map(tmp_path: Path) -> None:
    """A JPEG without any word of a map has none."""
    made.pillow(tmp_path / "a.jpg", made.values(3, "uint8"))
    with open_picture(tmp_path / "a.jpg") as picture:
        assert picture.gain_map is None
