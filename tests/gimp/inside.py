"""What the tests' scripts call within GIMP's batch interpreter, which has no drht_plugin."""

from __future__ import annotations

import json
from typing import Any

from gi.repository import Babl, Gegl, Gimp, Gio

PROCEDURE = "plug-in-drht-recover-exposure"


def whole(drawable: Any) -> Any:
    """The rectangle of all its pixels."""
    return Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())


def make(
    path: str,
    width: int,
    height: int,
    *,
    precision: str = "U8_NON_LINEAR",
    gray: bool = False,
    alpha: bool = False,
    profile: str | None = None,
) -> tuple[Any, Any]:
    """An image with one layer, whose stored values are those of a file."""
    base = Gimp.ImageBaseType.GRAY if gray else Gimp.ImageBaseType.RGB
    image = Gimp.Image.new_with_precision(width, height, base, getattr(Gimp.Precision, precision))
    if profile is not None:
        assert image.set_color_profile(getattr(Gimp.ColorProfile, profile)())
    name = ("GRAY" if gray else "RGB") + ("A" if alpha else "") + "_IMAGE"
    kind = getattr(Gimp.ImageType, name)
    layer = Gimp.Layer.new(image, "picture", width, height, kind, 100, Gimp.LayerMode.NORMAL)
    assert image.insert_layer(layer, None, 0)
    with open(path, "rb") as file:
        write(layer, file.read())
    image.clean_all()
    return image, layer


def write(drawable: Any, data: bytes) -> None:
    """Store values in the drawable's own format."""
    buffer = drawable.get_buffer()
    size = whole(drawable).width * whole(drawable).height
    assert len(data) == size * Babl.format_get_bytes_per_pixel(drawable.get_format())
    buffer.set(whole(drawable), Babl.get_name(drawable.get_format()), data)
    buffer.flush()


def stored(drawable: Any) -> bytes:
    """The values in the drawable's own format."""
    name = Babl.get_name(drawable.get_format())
    data = drawable.get_buffer().get(whole(drawable), 1.0, name, Gegl.AbyssPolicy.NONE)
    assert isinstance(data, bytes)
    return data


def dump(drawable: Any, path: str) -> None:
    """Write the stored values to a file."""
    with open(path, "wb") as file:
        file.write(stored(drawable))


def call(image: Any, *drawables: Any, **arguments: Any) -> tuple[str, Any]:
    """Run the procedure; its status, and the layer or the error's text."""
    procedure = Gimp.get_pdb().lookup_procedure(PROCEDURE)
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", list(drawables))
    for name, value in arguments.items():
        config.set_property(name, value)
    result = procedure.run(config)
    status = Gimp.PDBStatusType(result.index(0)).value_nick
    return status, result.index(1) if result.length() > 1 else None


def load(path: str) -> Any:
    """An image from a file."""
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))
    assert image is not None, path
    return image


def report(path: str, **facts: Any) -> None:
    """Leave what was seen for the test; the last thing that a script does."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(facts, file)
