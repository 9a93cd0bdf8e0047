"""HEIC and AVIF pictures with a gain map by ISO 21496-1: it tells what is above white."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apple_heic
import heif_muxer as made
import libavif
import numpy as np
import OpenImageIO as oiio
import pytest
from readers import by_pillow

from drht_plugin import Corrector, correct_file
from drht_plugin.colour.cicp import Cicp
from drht_plugin.io import GainMap, open_picture
from drht_plugin.io.metadata import tone_map
from drht_plugin.io.metadata.heif_items import items_of

KINDS = ("heic", "avif")
OFFSET = 1 / 64
STOPS = (3.0, 2.8, 2.6)
TINT = np.array([1.0, 0.9, 0.8])
"""Of the light of the windows."""


@pytest.fixture(scope="module")
def corrector() -> Corrector:
    """Networks, loaded once."""
    return Corrector()


def scene() -> np.ndarray:
    """Light of a gray room with two tinted windows: of about 2 and of 6 times white."""
    light = np.tile(np.linspace(0.05, 0.5, 320), (240, 1))[..., None] * np.ones(3)
    light[40:120, 60:120] = 2 * TINT
    light[40:120, 200:260] = 6 * TINT
    return light


def srgb(light: np.ndarray) -> np.ndarray:
    """8-bit codes of light, clipped at white."""
    x = light.clip(0, 1)
    codes = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.rint(codes * 255).astype(np.uint8)


def map_of(light: np.ndarray, channels: int, white: int = 255, factor: int = 4) -> np.ndarray:
    """Codes of the map that leads to light, smaller by a factor."""
    stops = np.log2((light + OFFSET) / (light.clip(0, 1) + OFFSET))
    stops = stops if channels == 3 else stops.mean(-1, keepdims=True)
    height, width, _ = stops.shape
    shape = (height // factor, factor, width // factor, factor, channels)
    share = stops.reshape(shape).mean((1, 3)) / STOPS[:channels]
    return np.rint(share.clip(0, 1) * white).astype(np.uint16 if white > 255 else np.uint8)


def data_of(channels: int) -> bytes:
    """What the codes of such a map mean."""
    return made.values((0.0,) * channels, STOPS[:channels])


def written(path: Path, channels: int = 3, kind: str | None = None, data: bytes = b"") -> Path:
    """A file of the scene."""
    kind = kind or path.suffix[1:]
    base = made.coded(srgb(scene()), kind)
    gain = made.coded(map_of(scene(), channels), kind)
    path.write_bytes(made.tone_mapped(base, gain, data or data_of(channels)))
    return path


def windows(light: np.ndarray) -> np.ndarray:
    """Mean light of the two windows, 2×3."""
    return np.stack([light[60:100, a : a + 30].mean((0, 1)) for a in (75, 215)])


def estimate(path: Path) -> np.ndarray:
    """An OpenEXR file's values."""
    return np.asarray(oiio.ImageBuf(str(path)).get_pixels())


def map_in(path: Path) -> GainMap | str | None:
    """The gain map of a file."""
    with open_picture(path) as picture:
        return picture.gain_map


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_estimate_is_what_the_map_tells(
    kind: str, channels: int, tmp_path: Path, corrector: Corrector
) -> None:
    """The HDR estimate is the scene's light, and the JPEG made of the picture shines as far."""
    source, hdr = written(tmp_path / f"s.{kind}", channels), tmp_path / "a.exr"
    report = correct_file(source, tmp_path / "a.jpg", corrector=corrector, hdr=hdr)
    found, true = windows(estimate(hdr)), windows(scene())
    if channels == 1:  # which leaves white as it is
        found, true = found.mean(1), true.mean(1)
    assert found == pytest.approx(true, rel=0.05)
    middle = np.s_[180:220, 100:200]
    assert estimate(hdr)[middle] == pytest.approx(scene()[middle], rel=0.05)
    assert report.headroom is not None
    assert not any("gain map" in label for label in report.dropped)
    dim, bright = windows(by_pillow(tmp_path / "a.jpg").shown(8.0)).mean(1)
    assert np.log2(bright / dim) == pytest.approx(np.log2(3), abs=0.2)


def test_estimate_is_what_libavif_shows(tmp_path: Path, corrector: Corrector) -> None:
    """For files of libavif, in colours of the base and of the HDR picture, both agree."""
    lib = libavif.library()
    if lib is None:
        pytest.skip("Pillow has no libavif of interface 16")
    for in_base_colours in (1, 0):
        source = tmp_path / f"{in_base_colours}.avif"
        values = {"least": 0.0, "most": STOPS, "gamma": (1.0, 1.2, 0.8), "base_headroom": 0.0}
        values |= {"base_offset": OFFSET, "hdr_offset": OFFSET, "hdr_headroom": 3.0}
        values |= {"primaries": 9, "transfer": 16, "matrix": 9, "in_base_colours": in_base_colours}
        codes = map_of(scene(), 3, factor=1)
        libavif.write(lib, source, srgb(scene()), codes, values)
        hdr = tmp_path / f"{in_base_colours}.exr"
        correct_file(source, tmp_path / "a.png", corrector=corrector, hdr=hdr)
        theirs = libavif.shown(lib, source, 3.0)
        assert windows(estimate(hdr)) == pytest.approx(windows(theirs), rel=0.02)
    tints = [windows(estimate(tmp_path / f"{n}.exr"))[1] for n in (0, 1)]
    assert np.abs(tints[0] / tints[1] - 1).max() > 0.05


PROFILE = Cicp(12, 13).profile()
STATED = {
    "profile": (b"prof" + PROFILE, PROFILE),
    "primaries": (b"nclx" + struct.pack(">HHHB", 12, 16, 0, 0x80), 12),
    "unspecified": (b"nclx" + struct.pack(">HHHB", 2, 2, 2, 0x80), None),
    "none": (b"", None),
}


@pytest.mark.parametrize("stated", STATED)
@pytest.mark.parametrize("in_base_colours", [True, False])
def test_colours_of_the_gain(stated: str, in_base_colours: bool, tmp_path: Path) -> None:
    """The gain applies in the colours of the derived picture, unless it does in the base's."""
    colours, meant = STATED[stated]
    data = made.values((0.0,) * 3, STOPS, in_base_colours=in_base_colours)
    base, gain = (made.coded(each, "avif") for each in (srgb(scene()), map_of(scene(), 3)))
    path = tmp_path / "a.avif"
    path.write_bytes(made.tone_mapped(base, gain, data, colours=colours))
    found = map_in(path)
    assert isinstance(found, GainMap)
    assert found.colours == (None if in_base_colours else meant)


@pytest.mark.parametrize("full", [0, 1])
def test_gray_map_of_libavif(full: int, tmp_path: Path) -> None:
    """A map of one plane is read as one channel, from the range of video too."""
    lib = libavif.library()
    if lib is None:
        pytest.skip("Pillow has no libavif of interface 16")
    codes = np.linspace(0, 255, 24 * 32).reshape(24, 32, 1).astype(np.uint8)
    values = {"least": 0.0, "most": 2.0, "gamma": 1.0, "hdr_headroom": 2.0, "base_headroom": 0.0}
    values |= {"base_offset": 0.0, "hdr_offset": 0.0, "primaries": 9, "transfer": 16}
    more = {"range": full}
    base = np.zeros((48, 64, 3), np.uint8)
    path = tmp_path / "a.avif"
    libavif.write(lib, path, base, codes, values, planes=libavif.MONOCHROME, map_more=more)
    found = map_in(path)
    assert isinstance(found, GainMap)
    assert found.codes.shape == codes.shape
    assert np.abs(found.codes.astype(int) - codes).max() <= 1


def test_map_of_ten_bits(tmp_path: Path) -> None:
    """A map of more than 8 bits keeps them."""
    codes = map_of(scene(), 3, white=1023)
    base = made.coded(srgb(scene()), "avif")
    gain = made.coded(codes << 6, "avif", bits=10)
    path = tmp_path / "a.avif"
    path.write_bytes(made.tone_mapped(base, gain, data_of(3)))
    found = map_in(path)
    assert isinstance(found, GainMap)
    assert found.codes.dtype == np.uint16
    assert np.abs(found.codes / 65535 - codes / 1023).mean() < 0.002


@pytest.mark.parametrize("kind", KINDS)
def test_map_of_tiles(kind: str, tmp_path: Path) -> None:
    """A map that is stored as a grid of tiles is put together."""
    codes = np.arange(64 * 256).reshape(64, 256, 1).astype(np.uint8).repeat(3, 2)
    tiles = [made.coded(np.ascontiguousarray(codes[:, at : at + 64]), kind) for at in (0, 64, 128)]
    base = made.coded(srgb(scene()), kind)
    shape = [each for each in base.properties if each[0] == b"ispe"]
    mapped = made.Item(b"tmap", data_of(3), shape, [(b"dimg", [1, 3])])
    whole = made.grid(1, 3, 64, 192, [4, 5, 6])
    path = tmp_path / f"a.{kind}"
    path.write_bytes(made.mux([base, mapped, whole, *tiles]))
    found = map_in(path)
    assert isinstance(found, GainMap)
    assert np.abs(found.codes.astype(int) - codes[:, :192]).max() <= 2


TURNS = [(0, 0), (1, None), (2, None), (3, None), (0, 1), (1, 1), (3, 0)]


@pytest.mark.parametrize(("quarters", "mirror"), TURNS)
@pytest.mark.parametrize("kind", KINDS)
def test_map_is_turned_as_its_base(
    kind: str, quarters: int, mirror: int | None, tmp_path: Path
) -> None:
    """A base and a map that viewers turn and mirror still lie on one another."""
    codes = map_of(scene(), 3)
    parts = [made.coded(each, kind) for each in (srgb(scene()), codes)]
    base, gain = (made.turned(each, quarters, mirror) for each in parts)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(made.tone_mapped(base, gain, data_of(3)))
    found = map_in(path)
    assert isinstance(found, GainMap)
    shown = made.upright(codes, quarters, mirror)
    assert found.codes.shape == shown.shape
    assert np.abs(found.codes.astype(int) - shown).max() <= 2
    with open_picture(path) as picture:
        shown = made.upright(srgb(scene()), quarters, mirror)
        assert np.abs(picture[:].astype(int) - shown).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_map_without_turns_of_the_stored_shape(kind: str, tmp_path: Path) -> None:
    """A map that states no turn, and fits only the base as that is stored, is turned with it."""
    codes = map_of(scene(), 3)
    base, gain = made.coded(srgb(scene()), kind), made.coded(codes, kind)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(made.tone_mapped(made.turned(base, 3, 1), gain, data_of(3)))
    found = map_in(path)
    assert isinstance(found, GainMap)
    assert np.abs(found.codes.astype(int) - made.upright(codes, 3, 1)).max() <= 2
    upright = made.coded(np.ascontiguousarray(np.rot90(codes)), kind)
    path.write_bytes(made.tone_mapped(made.turned(base, 1), upright, data_of(3)))
    found = map_in(path)
    assert isinstance(found, GainMap)
    assert np.abs(found.codes.astype(int) - np.rot90(codes)).max() <= 2


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "values cut": lambda data: data[:40],
    "no values": lambda _: b"\0",
    "later version": lambda data: b"\1" + data[1:],
    "later minimum": lambda data: data[:1] + b"\0\1" + data[3:],
    "no denominator": lambda data: data[:-4] + bytes(4),
    "absurd": lambda data: data[:-8] + struct.pack(">iI", 1 << 30, 1),
    "huge": lambda data: data + bytes(1 << 13),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_bad_values_cost_no_picture(
    kind: str, damage: str, tmp_path: Path, corrector: Corrector
) -> None:
    """Values that cannot be used are said, and the picture is corrected."""
    data = DAMAGES[damage](data_of(3))
    source = written(tmp_path / f"s.{kind}", data=data)
    for target in ("a.jpg", "a.png"):
        report = correct_file(source, tmp_path / target, corrector=corrector)
        assert "gain map (without its values)" in report.dropped
        assert "gain map" not in report.dropped


@pytest.mark.parametrize("headrooms", [(3.0, 0.0), (2.5, 1.0)])
@pytest.mark.parametrize("kind", KINDS)
def test_map_of_an_hdr_base(
    kind: str, headrooms: tuple[float, float], tmp_path: Path, corrector: Corrector
) -> None:
    """A map that leads from an HDR base down to one for other screens is left out, and said."""
    data = made.values((-3.0,), (0.0,), headrooms=headrooms)
    source = written(tmp_path / f"s.{kind}", 1, data=data)
    report = correct_file(source, tmp_path / "a.jpg", corrector=corrector)
    assert "gain map (leading from HDR down)" in report.dropped


def broken(parts: list[made.Item], damage: str) -> bytes:
    """A file of a base, a tone-mapped item and a map, damaged."""
    base, mapped, gain = parts
    if damage == "cut":
        return made.mux(parts)[: -len(gain.data) // 2]
    if damage == "noise":
        gain = replace(gain, data=bytes(len(gain.data)))
    elif damage == "no map":
        mapped = replace(mapped, references=[(b"dimg", [1, 9])])
    elif damage == "one input":
        mapped = replace(mapped, references=[(b"dimg", [1])])
    elif damage == "itself":
        mapped = replace(mapped, references=[(b"dimg", [1, 2])])
    elif damage == "other base":
        mapped = replace(mapped, references=[(b"dimg", [3, 1])])
    elif damage == "unknown coding":
        gain = replace(gain, kind=b"jpeg")
    elif damage == "tiles":
        gain = made.grid(200, 200, 64, 64, [1] * 250)
    elif damage == "bomb":
        shape = struct.pack(">4xII", 1 << 20, 1 << 20)
        gain = replace(
            gain,
            properties=[(k, shape if k == b"ispe" else d) for k, d in gain.properties],
        )
    return made.mux([base, mapped, gain])


@pytest.mark.parametrize(
    "damage",
    ["noise", "no map", "one input", "itself", "other base", "unknown coding", "tiles", "bomb"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_bad_map_costs_no_picture(
    kind: str, damage: str, tmp_path: Path, corrector: Corrector
) -> None:
    """A map that is damaged or not there is said, and the picture is corrected."""
    base, gain = (made.coded(each, kind) for each in (srgb(scene()), map_of(scene(), 3)))
    shape = [each for each in base.properties if each[0] == b"ispe"]
    mapped = made.Item(b"tmap", data_of(3), shape, [(b"dimg", [1, 3])], in_meta=True)
    source = tmp_path / f"s.{kind}"
    source.write_bytes(broken([base, mapped, gain], damage))
    report = correct_file(source, tmp_path / "a.jpg", corrector=corrector)
    assert any(label.startswith("gain map (") for label in report.dropped)
    assert report.headroom is not None


def both(path: Path, data: bytes) -> Path:
    """A file whose map is Apple's too, as iPhones write it; its headroom is 2 stops by Apple."""
    exif = made.Item(b"Exif", bytes(4) + apple_heic.maker_exif(1.2, 1.0))
    exif.references.append((b"cdsc", [1]))
    base, gain = (made.coded(each, "heic") for each in (srgb(scene()), map_of(scene(), 1)))
    gain.properties.append((b"auxC", bytes(4) + apple_heic.URN + b"\0"))
    gain.references.append((b"auxl", [1]))
    shape = [each for each in base.properties if each[0] == b"ispe"]
    mapped = made.Item(b"tmap", data, shape, [(b"dimg", [1, 3])], in_meta=True)
    path.write_bytes(made.mux([base, mapped, gain, exif]))
    return path


def test_iso_wins_over_apple(tmp_path: Path, corrector: Corrector) -> None:
    """Of both, the values by ISO count; Apple's do where those cannot be used, and this is said."""
    found = map_in(both(tmp_path / "both.heic", data_of(1)))
    assert isinstance(found, GainMap)
    assert found.values.most_headroom == pytest.approx(3)
    source = both(tmp_path / "one.heic", data_of(1)[:30])
    found = map_in(source)
    assert isinstance(found, GainMap)
    assert found.values.most_headroom == pytest.approx(2, abs=1e-3)
    report = correct_file(source, tmp_path / "a.jpg", corrector=corrector)
    assert [each for each in report.dropped if "gain map" in each] == [
        "gain map by ISO 21496-1 (without its values)"
    ]
    assert report.headroom is not None


XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" '
    'hdrgm:GainMapMax="3"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("kind", KINDS)
def test_map_that_xmp_describes(kind: str, tmp_path: Path) -> None:
    """An auxiliary picture by Adobe's draft is a map, whose XMP says what its codes mean."""
    codes = map_of(scene(), 3)
    base, gain = (made.coded(each, kind) for each in (srgb(scene()), codes))
    gain.properties.append((b"auxC", bytes(4) + tone_map.ADOBE_URN.encode() + b"\0"))
    gain.references.append((b"auxl", [1]))
    packet = made.Item(b"mime", XMP.encode(), [], [(b"cdsc", [2])])
    path = tmp_path / f"a.{kind}"
    for described in (True, False):
        parts = [base, gain, packet] if described else [base, gain]
        path.write_bytes(made.mux(parts))
        found = map_in(path)
        if not described:
            assert found == "without its values"
            continue
        assert isinstance(found, GainMap)
        assert found.values.most == (3.0,) * 3
        assert np.abs(found.codes.astype(int) - codes).max() <= 2


def test_gray_map_of_apple_in_avif(tmp_path: Path) -> None:
    """A map as Apple's cameras have it is read in AVIF, too."""
    lib = libavif.library()
    if lib is None:
        pytest.skip("Pillow has no libavif of interface 16")
    values = {"least": 0.0, "most": 1.0, "gamma": 1.0, "hdr_headroom": 1.0, "base_headroom": 0.0}
    values |= {"base_offset": 0.0, "hdr_offset": 0.0, "primaries": 9, "transfer": 16}
    first = tmp_path / "a.avif"
    codes = np.linspace(0, 255, 60 * 80).reshape(60, 80, 1).astype(np.uint8)
    libavif.write(lib, first, srgb(scene()), codes, values, planes=libavif.MONOCHROME)
    items = items_of(first.read_bytes())
    gain = made.Item(b"av01", items.data(3, 1 << 20))
    gain.properties = [(each.kind, each.data) for each in items.properties(3)]
    gain.properties.append((b"auxC", bytes(4) + apple_heic.URN + b"\0"))
    gain.references.append((b"auxl", [1]))
    exif = made.Item(b"Exif", bytes(4) + apple_heic.maker_exif(1.2, 1.0), [], [(b"cdsc", [1])])
    path = tmp_path / "b.avif"
    path.write_bytes(made.mux([made.coded(srgb(scene()), "avif"), gain, exif]))
    found = map_in(path)
    assert isinstance(found, GainMap)
    assert found.codes.shape == codes.shape
    assert found.values.most_headroom == pytest.approx(2, abs=1e-3)


def test_another_result_keeps_no_word_of_it(tmp_path: Path, corrector: Corrector) -> None:
    """Results that get no map of their own name the one that they lost."""
    source = written(tmp_path / "s.avif")
    report = correct_file(source, tmp_path / "a.png", corrector=corrector)
    assert report.headroom is None
    assert "gain map" in report.dropped
