"""The light that the gain map of a source tells, above white, where its base is clipped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.colour.cicp import Cicp
from drht_plugin.colour.primaries import Matrix, apply_matrix
from drht_plugin.colour.spaces import SRGB, ColourSpace, matrix_of, space_of
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.source import Sink, Source
from drht_plugin.errors import InputError
from drht_plugin.gain_map.light import Image, light_of
from drht_plugin.io import GainMap
from drht_plugin.orientation import to_upright

FloatArray = npt.NDArray[np.float32]

_LEAST_STOPS = 0.25
"""A map whose largest gain is less tells nothing of highlights."""

_BRIGHT = (0.5, 0.9)
"""Luma from which on the map's light counts in the survey, and where it counts alone."""

_SAMPLES = 3
"""Places in each direction at which the map is read for a pixel of the overview."""

_BAND_BYTES = 8 << 20
_LINEAR = 8
_SAME = 1e-4


class SourceLight:
    """Light of a picture with a gain map: of its HDR rendition, 1.0 at the base's white.

    Args:
        gain_map: the map, which covers the picture as that is stored.
        spec: the picture's spec.
        space: colour space of its codes.
        orientation: how the picture is stored, 1 to 8 as in EXIF.
    """

    def __init__(
        self, gain_map: GainMap, spec: ImageSpec, space: ColourSpace, orientation: int
    ) -> None:
        self._values, self._spec = gain_map.values, spec
        codes = gain_map.codes
        self._share: FloatArray = codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)
        self._upright = to_upright(self._share, orientation)
        self._light = light_of(spec, space)
        self._own = to_colours_of(gain_map, space if spec.colours == 3 else SRGB)
        self._seen = to_colours_of(gain_map, SRGB) if self._own is not None else None

    @property
    def headroom(self) -> float:
        """Largest gain in stops."""
        peak = self._share.max((0, 1), keepdims=True)
        return float(self._values.stops(peak).max())

    def rows(self, pixels: Image, top: int) -> FloatArray:
        """Return the light of rows.

        Args:
            pixels: R×W×C rows of the picture.
            top: the first one's.

        Returns:
            R×W×3 float32.
        """
        height, width = self._spec.height, self._spec.width
        down = (np.arange(top, top + len(pixels)) + 0.5) / height
        share = _sampled(self._share, down, (np.arange(width) + 0.5) / width)
        return self._raised(self._light(pixels), share, self._own)

    def stream(self, source: Source, sink: Sink) -> None:
        """Hand the light of all rows to a sink of R×W×3 float32 rows."""
        height, width = self._spec.height, self._spec.width
        step = max(1, _BAND_BYTES // (12 * width))
        for top in range(0, height, step):
            bottom = min(top + step, height)
            sink[top:bottom] = self.rows(source[top:bottom], top)

    def of_overview(self, codes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what is known of an overview's y; see `engine.known_light.KnownY`.

        Args:
            codes: h×w×3 float32 in 0..1, upright, in sRGB.
        """
        rows, columns = (_SAMPLES * side for side in codes.shape[:2])
        down, across = ((np.arange(count) + 0.5) / count for count in (rows, columns))
        share = _sampled(self._upright, down, across)
        shape = (codes.shape[0], _SAMPLES, codes.shape[1], _SAMPLES, -1)
        light = transfer.srgb_decode(codes)
        raised = self._raised(light, share.reshape(shape).mean((1, 3)), self._seen)
        y = transfer.to_ldr_domain(raised.clip(0, transfer.H_MAX)).astype(np.float32)
        first, last = _BRIGHT
        brightest = codes.max(-1, keepdims=True)
        return y, ((last - brightest) / (last - first)).clip(0, 1).astype(np.float32)

    def _raised(self, light: FloatArray, share: FloatArray, matrix: Matrix | None) -> FloatArray:
        """Return the HDR rendition of light R×W×C, R×W×3, by way of the map's own colours."""
        base, hdr = (
            np.array(offset, np.float32)
            for offset in (self._values.base_offset, self._values.hdr_offset)
        )
        if matrix is not None:
            wide = np.broadcast_to(light, (*light.shape[:2], 3))
            light = apply_matrix(matrix, wide).astype(np.float32)
        raised = (light + base) * np.exp2(self._values.stops(share)) - hdr
        if matrix is not None:
            raised = apply_matrix(np.linalg.inv(matrix), raised)
        return np.maximum(raised, 0).astype(np.float32)


def _sampled(
    plane: FloatArray, down: npt.NDArray[np.float64], across: npt.NDArray[np.float64]
) -> FloatArray:
    """Return h×w×C values at places, as shares of the height and of the width, bilinearly."""
    for axis, places in ((0, down), (1, across)):
        count = plane.shape[axis]
        at = (places * count - 0.5).clip(0, count - 1)
        low = at.astype(np.int64)
        share = (at - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        high = np.minimum(low + 1, count - 1)
        plane = plane.take(low, axis) * (1 - share) + plane.take(high, axis) * share
    return plane


def to_colours_of(gain_map: GainMap, space: ColourSpace) -> Matrix | None:
    """Return the 3×3 matrix from a space's light to that which a gain map multiplies.

    Args:
        gain_map: the map.
        space: of a picture.

    Returns:
        None where it makes no difference, or where either space has no matrix.
    """
    if gain_map.colours is None or gain_map.values.is_neutral(gain_map.codes.shape[2]):
        return None
    stated = gain_map.colours
    try:
        theirs = space_of(
            Cicp(stated, _LINEAR) if isinstance(stated, int) else stated, colours=3, linear=True
        )
    except InputError:
        return None
    own, wanted = matrix_of(space), matrix_of(theirs)
    if own is None or wanted is None:
        return None
    matrix = np.asarray(np.linalg.solve(wanted, own))
    return None if np.allclose(matrix, np.eye(3), atol=_SAME) else matrix


def source_light(
    gain_map: GainMap | str | None, spec: ImageSpec, space: ColourSpace, orientation: int
) -> SourceLight | None:
    """Return the light that a source's gain map tells; None if there is none that tells anything.

    Args:
        gain_map: see `io.PictureFile`.
        spec: the picture's spec.
        space: colour space of its codes.
        orientation: how the picture is stored, 1 to 8 as in EXIF.
    """
    if not isinstance(gain_map, GainMap):
        return None
    light = SourceLight(gain_map, spec, space, orientation)
    return light if light.headroom >= _LEAST_STOPS else None
