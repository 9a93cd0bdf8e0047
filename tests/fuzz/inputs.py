"""The inputs of the fuzz suite: numbered cases, each made from its number and a seed alone."""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import io_samples as made
import numpy as np
import profiles

from .hostile import HOSTILE
from .mutate import Random, mutate


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        number: of the case.
        kind: "picture", "profile", "weights", "journal" or "worker": what the child does with it.
        label: what it was made of.
        files: contents by name; the first is the one that is opened.
    """

    number: int
    kind: str
    label: str
    files: Mapping[str, bytes]


class Inputs:
    """Maker of cases.

    Args:
        seed: another one gives other mutations.
        weights: a small model to mutate: its .safetensors and .json.
        journal: the files of an interrupted run's folder.
    """

    def __init__(self, seed: int, weights: Mapping[str, bytes], journal: Mapping[str, bytes]):
        self._seed, self._weights, self._journal = seed, weights, journal
        self._pictures = _sample_pictures()
        self._profiles = _sample_profiles()

    def case(self, number: int) -> Case:
        """Return a case; the first are the hostile files, one of each."""
        if number < len(HOSTILE):
            label, suffix, make = HOSTILE[number]
            return Case(number, "picture", label, {f"a{suffix}": make()})
        random = np.random.default_rng([self._seed, number])
        share = random.random()
        if share < 0.8:
            return self._picture(number, random)
        if share < 0.86:
            return self._profile(number, random)
        if share < 0.9:
            return _one_changed(number, "weights", self._weights, random)
        if share < 0.94:
            return _one_changed(number, "journal", self._journal, random)
        return _worker_stream(number, random)

    def _picture(self, number: int, random: Random) -> Case:
        names = sorted(self._pictures)
        name = names[int(random.integers(len(names)))]
        suffix, data = self._pictures[name]
        alike = [d for s, d in self._pictures.values() if s == suffix]
        changed = mutate(data, alike[int(random.integers(len(alike)))], random)
        return Case(number, "picture", name, {f"a{suffix}": changed})

    def _profile(self, number: int, random: Random) -> Case:
        names = sorted(self._profiles)
        name = names[int(random.integers(len(names)))]
        other = self._profiles[names[int(random.integers(len(names)))]]
        changed = mutate(self._profiles[name], other, random)
        return Case(number, "profile", name, {"a.icc": changed})


def _sample_pictures() -> dict[str, tuple[str, bytes]]:
    """Return suffix and bytes of a valid file of each kind."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for sample in made.SAMPLES:
            path, _ = sample.create(Path(folder))
            found[sample.name] = (sample.suffix, path.read_bytes())
        path = Path(folder) / "a.ppm"
        for name, text in {
            "pbm-text": "P1\n4 2\n0 1 1 0\n1 0 0 1\n",
            "ppm-text": "P3\n# a note\n2 2\n255\n" + "12 200 7 " * 4,
        }.items():
            found[name] = (".pbm" if "pbm" in name else ".ppm", text.encode())
    return found


def _sample_profiles() -> dict[str, bytes]:
    kinds = {f"icc-{name}": made.profile(name) for name in ("p3", "srgb")}
    kinds |= {f"icc-{name}": profiles.rgb(name) for name in profiles.PRIMARIES}
    gray = {"icc-gray": profiles.gray(profiles.gamma(2.2))}
    return kinds | gray | {"icc-tables": profiles.tables("p3", 5)}


def _one_changed(number: int, kind: str, files: Mapping[str, bytes], random: Random) -> Case:
    """Return a case of several files of which one is changed."""
    names = sorted(files)
    name = names[int(random.integers(len(names)))]
    changed = dict(files) | {name: mutate(files[name], files[names[0]], random)}
    if kind == "weights" and name.endswith(".safetensors") and random.random() < 0.8:
        # With the right checksum, so that the tensors are looked at.
        about = name.removesuffix(".safetensors") + ".json"
        described = json.loads(files[about])
        described["sha256"] = hashlib.sha256(changed[name]).hexdigest()
        changed[about] = json.dumps(described).encode()
    return Case(number, kind, name, changed)


_NUMBERS = (0, -1, 1, 7, 1 << 31, 1 << 64, 0.5, -0.0, 1e308)
_WORDS = ("", "srgb", "x" * 999, "AAAA", "uint8", "float16", "network", "guided")
_VALUES: tuple[object, ...] = (None, True, False, *_NUMBERS, *_WORDS, [], {}, [[]])


def _worker_stream(number: int, random: Random) -> Case:
    """Return a stream of frames for the worker, some of them of odd values or broken."""
    picture = {"height": 8, "width": 9, "channels": 3, "dtype": "uint8"}
    strengths = {"strength": 1, "shadows": 1, "highlights": 1, "detail": "guided"}
    requests: list[dict[str, object]] = [
        {"type": "hello", "protocol": 1},
        {"type": "status"},
        {"type": "allocate", **picture},
        {"type": "survey", "picture": 0, "transfer": "srgb", "wrap": False},
        {"type": "render", "picture": 0, **strengths},
        {"type": "shrink", "picture": 0, "side": 4},
    ]
    for request in requests:
        request["id"] = int(random.integers(100))
        if random.random() < (0.05 if request["type"] == "hello" else 0.3):
            keys = sorted(request)
            key = keys[int(random.integers(len(keys)))]
            request[key] = _VALUES[int(random.integers(len(_VALUES)))]
    if random.random() < 0.5:
        later = requests[1:]
        random.shuffle(later)
        requests[1:] = later
    frames = [json.dumps(request).encode() for request in requests]
    stream = b"".join(b"DRHT" + struct.pack("<I", len(body)) + body for body in frames)
    if random.random() < 0.6:
        stream = mutate(stream, stream, random)
    return Case(number, "worker", "worker", {"a.stream": stream})
