"""`Scene`: the result of a survey, which can be saved, compared and rendered from."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from drht_plugin.bridge.sizes import LEVELS
from drht_plugin.colour.cicp import Cicp
from drht_plugin.colour.spaces import Profile
from drht_plugin.engine.noise_curve import BINS, DISTANCES, lifted_noise, noise_map
from drht_plugin.engine.pixels import ImageSpec, spec_of
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.errors import InputError, ReadError, WriteError
from drht_plugin.orientation import require_orientation
from drht_plugin.storage import parse_json, replacing

FloatArray = npt.NDArray[np.float32]

VERSION = 4
"""Version of the stored form and of what its arrays mean to render."""

NOISE_AT = 9
"""First plane of `Scene.conditions` that is noise."""

_KEY = "drht_scene"
"""Key of the metadata in a scene's safetensors file."""


@dataclass(frozen=True, eq=False)
class Scene:
    """All that rendering needs to know of an image as a whole.

    A scene is immutable. Two scenes are equal if all their contents are. The arrays describe the
    upright image in the image's own colour space.

    Attributes:
        spec: the stored image's spec.
        wrap: whether columns are periodic, as in a 360° panorama.
        ldr: x, the input's overview: h×w×3 float32 in 0..1, display-encoded.
        y: overview of the HDR estimate in the LDR domain, y = α·H^γ: h×w×3 float32.
        corrected: overview of T: h×w×3 float32 in 0..1, display-encoded.
        weight: share of the pixels that counted: h×w float32 in 0..1.
        noise: standard deviation of the noise of the image's pixels by luma, see
            `survey.noise.NoiseMeter.curve`.
        tone: grid that carries x to T at any pixel.
        origin: column of the upright image that the scene's columns are counted from; 0 unless
            `wrap`.
        orientation: how the image is stored, 1 to 8 as in EXIF.
        profile: the image's own colour space, which exposure and white balance are applied in; None
            is sRGB.
    """

    spec: ImageSpec
    wrap: bool
    ldr: FloatArray = field(repr=False)
    y: FloatArray = field(repr=False)
    corrected: FloatArray = field(repr=False)
    weight: FloatArray = field(repr=False)
    noise: FloatArray = field(repr=False)
    tone: ToneGrid = field(repr=False)
    origin: int = 0
    orientation: int = 1
    profile: Profile | None = field(default=None, repr=False)

    @cached_property
    def upright(self) -> Scene:
        """The scene of the same image if it were stored upright."""
        if self.orientation == 1:
            return self
        return replace(self, spec=self.spec.upright(self.orientation), orientation=1)

    @cached_property
    def conditions(self) -> FloatArray:
        """What the detail network is told: h×w×11 float32 of x, T, y, noise at each distance."""
        noise = noise_map(self.ldr, self.noise)
        return np.concatenate([self.ldr, self.corrected, self.y, noise], -1)

    def conditions_at(self, denoise: float) -> FloatArray:
        """Return `conditions` with the noise scaled by a factor."""
        if denoise == 1:
            return self.conditions
        scaled = self.conditions.copy()
        scaled[..., NOISE_AT:] *= np.float32(denoise)
        return scaled

    @cached_property
    def lifted_noise(self) -> float:
        """Mean standard deviation of the noise in guided detail, 0..1; see `noise_curve`."""
        return lifted_noise(self.ldr, self.corrected, self.weight, self.noise)

    @cached_property
    def left_alone(self) -> bool:
        """Whether the exposure is right as it is, so that T is the input."""
        return bool(np.array_equal(self.ldr, self.corrected))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the scene's contents, in hexadecimal."""
        return hashlib.sha256(self._to_bytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scene) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for array in self._arrays().values():
            array.flags.writeable = False  # which pickle does not keep

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the scene to a safetensors file, which appears under its name once it is complete.

        Args:
            path: path of the file; an existing one is replaced.

        Raises:
            WriteError: the file cannot be written.
        """
        try:
            with replacing(Path(path)) as partial:
                partial.write_bytes(self._to_bytes())
        except OSError as error:
            raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error

    def _to_bytes(self) -> bytes:
        spec = self.spec
        facts = {
            "version": VERSION,
            "size": [spec.height, spec.width],
            "channels": [spec.colours, spec.alpha],
            "dtype": spec.dtype.name,
            "linear": spec.linear,
            "wrap": self.wrap,
            "origin": self.origin,
            "orientation": self.orientation,
            **_profile_facts(self.profile),
        }
        arrays = {name: np.ascontiguousarray(array) for name, array in self._arrays().items()}
        return save(arrays, {_KEY: json.dumps(facts)})

    def _arrays(self) -> dict[str, FloatArray]:
        return {
            "ldr": self.ldr,
            "y": self.y,
            "corrected": self.corrected,
            "weight": self.weight,
            "noise": self.noise,
            "transforms": self.tone.transforms,
            "sides": self.tone.sides,
        }

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scene:
        """Read a scene that `save` wrote.

        Args:
            path: path of the file.

        Raises:
            ReadError: a missing or damaged file, or a scene of another version.
        """
        try:
            with safe_open(path, "numpy") as file:
                facts = parse_json((file.metadata() or {})[_KEY].encode())
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except OSError as error:
            raise ReadError(f"{path}: cannot be read: {error.strerror or error}") from error
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ReadError(f"{path}: is not a scene, or is damaged") from error
        if not isinstance(facts, dict):
            raise ReadError(f"{path}: is not a scene, or is damaged")
        if facts.get("version") != VERSION:
            raise ReadError(
                f"{path}: is a scene of version {facts.get('version')}; expected {VERSION}"
            )
        try:
            return cls._from_parts(facts, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise ReadError(f"{path}: is damaged: {error}") from error

    @classmethod
    def _from_parts(cls, facts: dict[str, Any], arrays: dict[str, FloatArray]) -> Scene:
        colours, alpha = facts["channels"]
        height, width = facts["size"]
        spec = ImageSpec(height, width, colours, alpha, np.dtype(facts["dtype"]), facts["linear"])
        tone = ToneGrid(arrays["transforms"], arrays["sides"])
        for array in arrays.values():
            if array.dtype != np.float32 or not np.isfinite(array).all():
                raise ValueError("an array has other values than finite float32")
            array.flags.writeable = False
        scene = cls(
            spec=spec,
            wrap=facts["wrap"],
            ldr=arrays["ldr"],
            y=arrays["y"],
            corrected=arrays["corrected"],
            weight=arrays["weight"],
            noise=arrays["noise"],
            tone=tone,
            origin=facts["origin"],
            orientation=require_orientation(facts["orientation"], wrap=facts["wrap"]),
            profile=_profile_of(facts),
        )
        scene._require_consistent()
        return scene

    def _require_consistent(self) -> None:
        rows, columns = self.weight.shape
        shapes = {self.ldr.shape, self.y.shape, self.corrected.shape}
        colours = self.spec.colours
        cell = LEVELS * colours * (colours + 1)
        fitting = (
            shapes == {(rows, columns, 3)}
            and self.noise.shape == (DISTANCES, BINS)
            and self.tone.sides.shape == (rows, columns, 2 * colours)
            and self.tone.transforms.ndim == 3
            and self.tone.transforms.shape[2] == cell
            and 0 <= self.origin < self.spec.upright(self.orientation).width
        )
        if not fitting:
            raise ValueError("its arrays do not fit together")


def _profile_facts(profile: Profile | None) -> dict[str, Any]:
    """Return what says the profile in a scene's file; nothing for sRGB."""
    if profile is None:
        return {}
    if isinstance(profile, Cicp):
        return {"code points": [profile.primaries, profile.transfer]}
    return {"profile": base64.b64encode(profile).decode()}


def _profile_of(facts: dict[str, Any]) -> Profile | None:
    if "code points" in facts:
        return Cicp(*facts["code points"])
    return base64.b64decode(facts["profile"], validate=True) if "profile" in facts else None


def require_scene(scene: Any) -> None:
    """Refuse what is no `Scene`.

    Args:
        scene: any value.

    Raises:
        InputError: says what was given and what is accepted.
    """
    if not isinstance(scene, Scene):
        raise InputError(f"the scene is a {type(scene).__name__}; expected a Scene, of a survey")


def require_surveyed(scene: Scene, image: Any) -> None:
    """Refuse an image of another size or kind than the surveyed one.

    Args:
        scene: the survey's result.
        image: array-like with shape and dtype.

    Raises:
        InputError: says what both are, or that there is no scene.
    """
    require_scene(scene)
    given, spec = spec_of(image), scene.spec
    kinds = [(each.dtype, each.colours, each.alpha) for each in (given, spec)]
    if kinds[0] != kinds[1]:
        raise InputError(f"the image is {given}; the surveyed image is {spec}")
    if (given.height, given.width) != (spec.height, spec.width):
        raise InputError(
            f"the image has {given.height}×{given.width} pixels; "
            f"the surveyed image has {spec.height}×{spec.width}"
        )
