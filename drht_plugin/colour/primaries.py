"""Matrices between linear RGB spaces and XYZ, adapted to D50 as in ICC profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Chromaticities = tuple[tuple[float, float], ...]
"""x and y of red, green, blue and white."""

D65 = (0.3127, 0.3290)
ADOBE_RGB: Chromaticities = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), D65)
BT709: Chromaticities = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)

D50_XYZ = np.array([0.9642, 1.0, 0.8249])
"""XYZ of white in ICC's profile connection space."""

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_NEAR_WHITE = 0.01


def _xyz(place: tuple[float, float]) -> Matrix:
    x, y = place
    if y == 0:  # a primary without luminance, such as X itself
        return np.array([x, 0.0, 1 - x])
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_xyz(places: Chromaticities) -> Matrix:
    """Return the matrix from linear RGB to XYZ, with white at luminance 1.

    Args:
        places: chromaticities of red, green, blue and white.

    Returns:
        3×3 float64.
    """
    *colours, white = (_xyz(place) for place in places)
    columns = np.stack(colours, 1)
    made: Matrix = columns * np.linalg.solve(columns, white)
    return made


def to_d50(places: Chromaticities) -> Matrix:
    """Return the matrix from linear RGB to XYZ, white adapted to D50 (Bradford).

    Args:
        places: chromaticities of red, green, blue and white.

    Returns:
        3×3 float64.
    """
    cones, wanted = _BRADFORD @ _xyz(places[3]), _BRADFORD @ D50_XYZ
    adapted: Matrix = (
        np.linalg.inv(_BRADFORD) @ np.diag(wanted / cones) @ _BRADFORD @ to_xyz(places)
    )
    return adapted


_SRGB = np.linalg.inv(to_d50(BT709))


def to_srgb(matrix: npt.NDArray[Any]) -> Matrix:
    """Return the matrix from a linear RGB space to linear sRGB.

    A white that differs from sRGB's by rounding only is made exactly sRGB's.

    Args:
        matrix: from the space to XYZ (D50), 3×3.

    Returns:
        3×3 float64.
    """
    found: Matrix = _SRGB @ matrix
    white = found.sum(1)
    if np.abs(white - 1).max() < _NEAR_WHITE:
        found = found / white[:, None]
    return found


def xyz_to_srgb(xyz: npt.NDArray[Any]) -> Matrix:
    """Convert XYZ (D50), …×3, to linear sRGB, …×3, unbounded."""
    return apply_matrix(_SRGB, xyz)


def apply_matrix(matrix: npt.NDArray[Any], values: npt.NDArray[Any]) -> Matrix:
    """Apply a matrix to each pixel.

    The sums are written out, as BLAS may round differently with another number of threads.

    Args:
        matrix: n×3.
        values: …×3.

    Returns:
        …×n.
    """
    x, y, z = (values[..., k] for k in range(3))
    return np.stack([a * x + b * y + c * z for a, b, c in matrix.tolist()], -1)
