"""Layers of OpenEXR files, by names of channels and of parts."""

from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray
from strategies import corrector

from drht_plugin import correct_file, io
from drht_plugin.cli import main
from drht_plugin.errors import ReadError

STUB = corrector()
BASE = ("R", "G", "B", "A")
DIFFUSE = ("diffuse.R", "diffuse.G", "diffuse.B")
SHINE = ("shine.spot.Y",)
DEPTH = ("depth.Z", "N.X")


def write(path: Path, *names: tuple[str, ...], tile: int = 0) -> dict[str, NDArray[Any]]:
    """Write one part with channels of these names, and return the values of each."""
    channels = sum(names, ())
    pixels = made.values(len(channels), "float32", 40, 48).astype(np.float16).astype(np.float32)
    if "A" in channels:
        pixels[..., channels.index("A")] = 1
    made.openimageio(path, pixels, names=channels, tile=tile)
    return {name: pixels[..., at] for at, name in enumerate(channels)}


def write_parts(path: Path, *names: str) -> list[NDArray[Any]]:
    """Write RGB parts of these names, and return their pixels."""
    specs = []
    for name in names:
        spec = oiio.ImageSpec(48, 40, 3, "half")
        spec.attribute("oiio:subimagename", name)
        specs.append(spec)
    pictures = [made.values(3, "float16", 40, 48, seed=seed) for seed in range(len(names))]
    target: Any = oiio.ImageOutput.create(str(path))
    assert target.open(str(path), tuple(specs)), target.geterror()
    for at, picture in enumerate(pictures):
        if at:
            assert target.open(str(path), specs[at], "AppendSubimage")
        assert target.write_image(picture)
    assert target.close()
    return pictures


@pytest.mark.parametrize("tile", [0, 16])
@pytest.mark.parametrize(
    ("layer", "names"), [(None, BASE), ("diffuse", DIFFUSE), ("shine.spot", SHINE)]
)
def test_layers_by_channels(
    layer: str | None, names: tuple[str, ...], tile: int, tmp_path: Path
) -> None:
    """A layer reads as its channels, the picture itself without a name; the rest is said."""
    stored = write(tmp_path / "a.exr", BASE, DEPTH, SHINE, DIFFUSE, tile=tile)
    picture = io.read_picture(tmp_path / "a.exr", layer=layer)
    np.testing.assert_array_equal(picture.pixels, np.stack([stored[n] for n in names], -1))
    left = {"layer main", "layer diffuse", "layer shine.spot", "channel depth.Z", "channel N.X"}
    assert set(picture.carrier.metadata.dropped) == left - {f"layer {layer or 'main'}"}


@pytest.mark.parametrize("layer", [None, "right", "left"])
def test_layers_by_parts(layer: str | None, tmp_path: Path) -> None:
    """Parts are layers by their names, one of which has to be chosen."""
    left, right = write_parts(tmp_path / "a.exr", "left", "right")
    if layer is None:
        with pytest.raises(ReadError, match=r"has the layers left, right; --layer"):
            io.read_picture(tmp_path / "a.exr")
        return
    found = io.read_picture(tmp_path / "a.exr", layer=layer).pixels
    np.testing.assert_array_equal(found, left if layer == "left" else right)


def test_the_only_layer(tmp_path: Path) -> None:
    """A file with one layer needs no choice."""
    stored = write(tmp_path / "a.exr", DIFFUSE, DEPTH)
    found = io.read_picture(tmp_path / "a.exr").pixels
    np.testing.assert_array_equal(found, np.stack([stored[name] for name in DIFFUSE], -1))


@pytest.mark.parametrize(
    ("names", "layer", "words"),
    [
        ((DIFFUSE, SHINE), None, "has the layers diffuse, shine.spot; --layer"),
        ((BASE, DIFFUSE), "gloss", "has no layer 'gloss'; the layers are diffuse"),
        ((BASE,), "gloss", "has no layer 'gloss'; it has no named layers"),
        ((DEPTH,), None, "has the channels N.X, depth.Z"),
    ],
)
def test_refused(
    names: tuple[tuple[str, ...], ...], layer: str | None, words: str, tmp_path: Path
) -> None:
    """Errors name the layers that there are."""
    write(tmp_path / "a.exr", *names)
    with pytest.raises(ReadError) as caught:
        io.read_picture(tmp_path / "a.exr", layer=layer)
    assert words in str(caught.value)


def test_other_formats_have_no_layers(tmp_path: Path) -> None:
    """A layer of a file that cannot have any is an error by name."""
    made.pillow(tmp_path / "a.png", made.values(3, "uint8"))
    with pytest.raises(ReadError, match=r"a\.png: is a PNG picture, which has no layer 'x'"):
        io.read_picture(tmp_path / "a.png", layer="x")


def test_the_result_has_the_layer_alone(tmp_path: Path) -> None:
    """The corrected layer is a picture of its own: R, G and B, in OpenEXR too; by the command."""
    stored = write(tmp_path / "a.exr", BASE, DIFFUSE, DEPTH)
    target = tmp_path / "b.exr"
    correct_file(tmp_path / "a.exr", target, corrector=STUB, strength=0, layer="diffuse")
    command = ["correct", str(tmp_path / "a.exr"), "--layer", "diffuse", "--strength", "0"]
    assert main([*command, "-o", str(tmp_path / "c.exr")]) == 0
    for path in (target, tmp_path / "c.exr"):
        source: Any = oiio.ImageInput.open(str(path))
        assert tuple(source.spec().channelnames) == ("R", "G", "B")
        wanted = np.stack([stored[name] for name in DIFFUSE], -1)
        np.testing.assert_array_equal(source.read_image("float"), wanted)


def test_channels_of_several_types(tmp_path: Path) -> None:
    """A layer has the widest type of its channels, whichever is first."""
    spec = oiio.ImageSpec(48, 40, 4, "half")
    spec.channelnames = ("a.B", "a.G", "a.R", "Z")
    spec.channelformats = tuple(oiio.TypeDesc(kind) for kind in ("half", "float", "half", "half"))
    pixels = np.full((40, 48, 4), 0.5, np.float32)
    pixels[..., 1] = 1e6  # which a half does not hold
    target: Any = oiio.ImageOutput.create("a.exr")
    assert target.open(str(tmp_path / "a.exr"), spec), target.geterror()
    assert target.write_image(pixels)
    assert target.close()
    found = io.read_picture(tmp_path / "a.exr").pixels
    np.testing.assert_array_equal(found[0, 0], np.array([0.5, 1e6, 0.5], np.float32))
