"""Photoreceptors: spectral and luminance sensitivity, response, and neural contrast sensitivity."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.optional import import_optional

Array = NDArray[np.float64]

RGB_RESPONSE = np.array(
    [
        [0.198996120338, 0.0410058604076, 6.15063088486e-05, 0.0143773686211],
        [0.404762607038, 0.254923306441, 0.000695917451333, 0.480920841084],
        [0.0543906192553, 0.0500122489593, 0.00703756789537, 0.454275895669],
    ]
)
"""Response of L, M, S cones and rods (columns) to R, G, B (rows), per cd/m² of the channel.

Integrals over 360 to 780 nm of Smith and Pokorny's cone fundamentals (1975) and the CIE scotopic
efficiency (1951), times the emission of an LCD with fluorescent backlight (HDR-VDP-2's default).
"""

GREY_RESPONSE = np.array([[0.601847152245, 0.316708295579, 0.00766481216957, 0.9046706546]])
"""Response of L, M, S cones and rods to the CIE illuminant D65, per cd/m² of luminance."""

# Luminance masking. Sensitivity of all receptors: s = peak·((drop/L)^slope + 1)^−low
_JOINT_PEAK, _JOINT_DROP, _JOINT_SLOPE, _JOINT_LOW = 30.162, 4.0627, 1.6596, 0.2712
# Sensitivity of rods alone: it falls on both sides of a luminance, by a width and a power each.
_ROD_LUMINANCE, _ROD_GAIN = 1.1732, 1.1414
_ROD_LOW_WIDTH, _ROD_LOW_POWER = 1.1478, 1.2167
_ROD_HIGH_WIDTH, _ROD_HIGH_POWER = 0.5547, 2.9899
_LEAST_CONE_SENSITIVITY = 1e-3

# Calibration: peak contrast threshold of Daly's CSF at 30 cd/m² over that of this model.
_SENSITIVITY_CORRECTION = 0.006894596 / 10**-2.4

_LOG_LUMINANCE = np.linspace(-5, 5, 2048)

# Neural CSF: four parameters (rows) at six luminances, interpolated over log luminance.
_CSF_LUMINANCE = np.array([0.002, 0.02, 0.2, 2.0, 20.0, 150.0])
_CSF_PARAMETERS = np.array(
    [
        [0.991265, 0.800889, 0.476505, 0.405782, 0.334278, 0.394533],
        [3.74038, 3.54104, 4.37453, 4.40602, 3.79542, 2.7755],
        [0.50722, 0.682505, 0.750315, 0.935314, 1.07327, 1.16577],
        [4.46044, 4.94958, 5.28678, 5.61425, 6.4635, 7.45665],
    ]
)


def joint_sensitivity(luminance: Array) -> Array:
    """Return the peak contrast sensitivity of cones and rods together.

    Args:
        luminance: adapting luminance in cd/m², of any shape.
    """
    sensitivity: Array = (
        _JOINT_PEAK * ((_JOINT_DROP / luminance) ** _JOINT_SLOPE + 1) ** -_JOINT_LOW
    )
    return sensitivity


def rod_sensitivity(luminance: Array) -> Array:
    """Return the peak contrast sensitivity of the rods.

    Args:
        luminance: adapting luminance in cd/m², of any shape.
    """
    distance = np.log10(luminance / _ROD_LUMINANCE)
    low = np.abs(distance) ** _ROD_LOW_POWER / _ROD_LOW_WIDTH
    high = np.abs(distance) ** _ROD_HIGH_POWER / _ROD_HIGH_WIDTH
    sensitivity: Array = 10**_ROD_GAIN * np.exp(-np.where(distance > 0, high, low))
    return sensitivity


def neural_csf(frequency: Array, luminance: Array) -> Array:
    """Return the neural contrast sensitivity, without the eye's optics and luminance masking.

    Args:
        frequency: cycles per degree, 0 or more.
        luminance: adapting luminance in cd/m², above 0; broadcast against frequency.

    Returns:
        The sensitivity, 0 at frequency 0.
    """
    at = np.log10(luminance)
    known = np.log10(_CSF_LUMINANCE)
    scale, fall, rise, gain = (np.interp(at, known, row) for row in _CSF_PARAMETERS)
    low = -np.expm1(-((frequency / 7) ** 2))
    sensitivity: Array = gain * np.sqrt(low**rise / (1 + (scale * frequency) ** fall))
    return sensitivity


@functools.cache
def _responses() -> tuple[Array, Array]:
    """Tabulate the responses of one kind of cone and of the rods over `_LOG_LUMINANCE`.

    Responses are in units of the detection threshold. Their slope over luminance is sensitivity /
    luminance, so that over log luminance it is the sensitivity itself.
    """
    cumulative_trapezoid = import_optional("scipy.integrate").cumulative_trapezoid
    luminance = 10**_LOG_LUMINANCE
    rods = rod_sensitivity(luminance)
    both = np.maximum(joint_sensitivity(luminance) - rods, _LEAST_CONE_SENSITIVITY)
    # L and M cones each have half of the luminance and half of the sensitivity.
    cones = 0.5 * np.interp(np.minimum(2 * luminance, luminance[-1]), luminance, both)
    cone, rod = (
        _SENSITIVITY_CORRECTION * cumulative_trapezoid(each * np.log(10), _LOG_LUMINANCE, initial=0)
        for each in (cones, rods)
    )
    return cone, rod


def achromatic_response(retinal: Array, response: Array) -> tuple[Array, Array]:
    """Return the achromatic response to a retinal image and the adapting luminance.

    Args:
        retinal: H×W×C light in cd/m².
        response: C×4, such as `RGB_RESPONSE`.

    Returns:
        H×W response in units of threshold, of mean 0, and H×W adapting luminance in cd/m².
    """
    long, medium, _, rods = (retinal @ column for column in response.T)
    cone_table, rod_table = _responses()
    achromatic = np.zeros_like(long)
    for absorbed, table in ((long, cone_table), (medium, cone_table), (rods, rod_table)):
        achromatic += np.interp(np.log10(absorbed), _LOG_LUMINANCE, table)
    return achromatic - achromatic.mean(), long + medium
