"""Layers of OpenEXR files: pictures in one file that channel names or parts tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import OpenImageIO as oiio

from drht_plugin.io._errors import UnsupportedError

_KINDS = (("Y",), ("Y", "A"), ("R", "G", "B"), ("R", "G", "B", "A"))
_COLOURS = frozenset("YRGBA")
_NO_GRAY = frozenset({"X", "RY", "BY"})
"""Channels beside which Y is no picture of its own: a coordinate, or luminance without chroma."""

_MOST_PARTS = 256


@dataclass(frozen=True)
class Layer:
    """One picture of a file.

    Attributes:
        name: of the layer; empty for the picture itself.
        part: of the file.
        channels: numbers of gray or red, green and blue, and alpha in that part.
    """

    name: str
    part: int
    channels: tuple[int, ...]

    @property
    def span(self) -> tuple[int, int]:
        """The part's channels from the layer's first to behind its last."""
        return min(self.channels), max(self.channels) + 1

    def spec(self, whole: Any) -> Any:
        """Return the description of a file with this layer alone.

        Args:
            whole: OpenImageIO's description of the part.
        """
        names = next(kind for kind in _KINDS if len(kind) == len(self.channels))
        if tuple(whole.channelnames) == names and not self.name:
            return whole
        alone = oiio.ImageSpec(whole)
        if whole.channelformats:
            kinds = [oiio.TypeDesc(str(whole.channelformats[at])) for at in self.channels]
            alone.format = max(kinds, key=lambda kind: int(kind.size()))
            alone.channelformats = ()
        alone.nchannels, alone.channelnames = len(names), names
        alone.alpha_channel = len(names) - 1 if "A" in names else -1
        alone.z_channel = -1
        for attribute in ("name", "oiio:subimagename", "oiio:subimages"):
            alone.erase_attribute(attribute)
        return alone


def choose_layer(source: Any, wanted: str | None) -> tuple[Layer, tuple[str, ...]]:
    """Return a layer of an open file, and what else the file holds, in plain words.

    Args:
        source: OpenImageIO's input.
        wanted: name of the layer; None for the picture itself, or the only one.

    Raises:
        UnsupportedError: there is no such layer, or one has to be chosen; the message names them.
    """
    layers, others = _layers_of(source)
    names = [layer.name for layer in layers if layer.name]
    listed = ", ".join(names)
    if wanted is not None:
        found = [layer for layer in layers if layer.name == wanted]
        if not found:
            there = f"the layers are {listed}" if names else "it has no named layers"
            raise UnsupportedError(f"has no layer {wanted!r}; {there}")
    else:
        found = [layer for layer in layers if not layer.name] or layers
        if len(found) > 1:
            raise UnsupportedError(f"has the layers {listed}; --layer (layer=) chooses one")
        if not found:
            raise UnsupportedError(
                f"has the channels {', '.join(sorted(others))}; only Y, RGB and A are read"
            )
    rest = [layer.name or "main" for layer in layers if layer is not found[0]]
    dropped = [f"layer {name}" for name in rest] + [f"channel {name}" for name in others]
    return found[0], tuple(dropped)


def _layers_of(source: Any) -> tuple[list[Layer], list[str]]:
    """Return the layers of a file, and the names of channels that are in none."""
    groups: dict[tuple[int, str], dict[str, int]] = {}
    parts: dict[int, str] = {}
    others: list[str] = []
    no_gray: set[tuple[int, str]] = set()
    for part in range(_MOST_PARTS):
        if not source.seek_subimage(part, 0):
            break
        spec = source.spec()
        parts[part] = str(spec.getattribute("oiio:subimagename") or spec.getattribute("name") or "")
        for number, channel in enumerate(spec.channelnames):
            prefix, _, letter = channel.rpartition(".")
            if letter in _COLOURS and not spec.deep:
                groups.setdefault((part, prefix), {})[letter] = number
            else:
                others.append(channel)
                if letter in _NO_GRAY:
                    no_gray.add((part, prefix))
    source.seek_subimage(0, 0)
    layers = []
    for (part, prefix), found in groups.items():
        kind = next((kind for kind in _KINDS if set(kind) == set(found)), None)
        if kind is None or ("Y" in kind and (part, prefix) in no_gray):
            others.extend(f"{prefix}.{letter}" if prefix else letter for letter in found)
            continue
        name = prefix
        if len(parts) > 1 and (not prefix or sum(p == prefix for _, p in groups) > 1):
            name = ".".join(word for word in (parts[part] or f"part {part}", prefix) if word)
        layers.append(Layer(name, part, tuple(found[letter] for letter in kind)))
    return layers, others
