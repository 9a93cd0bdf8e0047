"""Kernels of the steerable pyramid with third-order derivative filters ("sp3").

Source: Simoncelli and Freeman, "The steerable pyramid: a flexible architecture for multi-scale
derivative computation", ICIP 1995; kernels designed after Karasaridis and Simoncelli, "A filter
design technique for steerable pyramid image transforms", ICASSP 1996. Only the coefficients that do
not follow from symmetry are listed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_HIGHPASS = (
    (
        0.7303866148,
        -0.1554141641,
        -0.0093812197447,
        0.0073032598011,
        -0.0051014497876,
        -0.00083368999185,
        0.0019755100366,
        0.0020898699295,
    ),
    (
        -0.079501636326,
        0.0078046298586,
        0.0053632198833,
        -0.0045751798898,
        0.00033578000148,
        0.0022892199922,
        0.0020687500946,
    ),
    (
        0.013962360099,
        -0.0027556000277,
        -0.0031295299996,
        0.0021145299543,
        0.0025626500137,
        0.0019235999789,
    ),
    (-0.0063222697936, -0.00049274001503, 0.0022253401112, 0.0021750701126, 0.0015450799838),
    (0.0012960999738, 0.0014050999889, 0.0015874400269, 0.00088387000142),
    (0.0011793200392, 0.00077435001731, -3.7829999201e-05),
    (-0.00032734998967, -0.00062596000498),
    (-0.000404839986,),
)

_LOWPASS_FIRST = (
    (0.4376249909, 0.181160301, -0.032971370965, 0.0011076199589, 0.0025240099058),
    (0.043813198805, -0.037694871426, 0.0082244202495, -0.00050337001448),
    (-0.007061290089, 0.0075227199122, -0.001601260039),
    (0.0029215801042, -0.0013542800443),
    (-8.7009997515e-05,),
)

_LOWPASS = (
    (
        0.2120374441,
        0.1773651242,
        0.090580143034,
        0.014385120012,
        -0.016485679895,
        -0.0096372198313,
        0.00055381999118,
        0.0055893999524,
        0.001261999947,
    ),
    (
        0.1445499808,
        0.068065837026,
        0.0039556599222,
        -0.017508180812,
        -0.0090569201857,
        0.0022212199401,
        0.0042872801423,
        -0.00042019999819,
    ),
    (
        0.021906599402,
        -0.011091699824,
        -0.018847439438,
        -0.0074316998944,
        0.0041121998802,
        0.0028898599558,
        -0.00025168000138,
    ),
    (
        -0.020229380578,
        -0.012604200281,
        -0.0017774800071,
        0.0030809799209,
        0.0023255399428,
        -0.0015970399836,
    ),
    (-0.0035306399222, 0.0031846798956, 0.0037613599561, -0.00013688000035, -0.00080063997302),
    (0.0031757799443, 0.0021605400834, 0.00056215998484, -0.00012434000382),
    (0.0014607800404, -0.00058146001538, -0.00067714002216),
    (0.00044606000301, 0.00012078000145),
    (-4.3500000174e-05,),
)

_ACROSS = (
    (0.1768419296, -0.053605638444, -0.0085267601535, -0.01417945046),
    (0.1105690673, -0.039442278445, 0.0028760801069, -0.013955879956),
    (0.022522680461, -0.0082581602037, 0.0058724298142, -0.012316980399),
    (0.00036522001028, 0.0037740699481, -0.004456540104, -0.0044451598078),
    (-0.00074700999539, -0.0013462699717, -0.0039103501476, 0.00081125000725),
)

_DIAGONAL = (
    (
        0.00082846998703,
        5.7109999034e-05,
        -4.0110000555e-05,
        -0.0046670897864,
        -0.0080871898681,
        -0.014807609841,
        -0.0086204400286,
        0.0031221499667,
    ),
    (
        0.00097479997203,
        0.0069718998857,
        0.002086560009,
        -0.002329879906,
        0.0044814897701,
        -0.014917500317,
        -0.0086204400286,
    ),
    (
        0.012145539746,
        0.024427289143,
        -0.050797060132,
        -0.032785870135,
        0.0044814897701,
        -0.014807609841,
    ),
    (0.1510555595, 0.082495503128, -0.050797060132, -0.002329879906, -0.0080871898681),
    (0.1510555595, 0.024427289143, 0.002086560009, -0.0046670897864),
    (0.012145539746, 0.0069718998857, -4.0110000555e-05),
    (0.00097479997203, 5.7109999034e-05),
    (0.00082846998703,),
)


def _mirrored(octant: Sequence[Sequence[float]]) -> Array:
    """Build a kernel symmetric about both axes and the diagonal; row i starts at column i."""
    size = len(octant)
    quadrant = np.zeros((size, size))
    for row, values in enumerate(octant):
        quadrant[row, row:] = values
        quadrant[row:, row] = values
    half = np.concatenate([quadrant[:0:-1], quadrant])
    return np.concatenate([half[:, :0:-1], half], axis=1)


def _across() -> Array:
    """Build the kernel that is odd from left to right, from its lower right quadrant."""
    quadrant = np.array(_ACROSS)
    right = np.concatenate([quadrant[:0:-1], quadrant])
    return np.concatenate([-right[:, ::-1], np.zeros((len(right), 1)), right], axis=1)


def _diagonal() -> Array:
    """Build the kernel that is odd about its diagonal, from its upper triangle."""
    size = len(_DIAGONAL) + 1
    kernel = np.zeros((size, size))
    for row, values in enumerate(_DIAGONAL):
        kernel[row, row + 1 :] = values
    return kernel - kernel.T


HIGHPASS = _mirrored(_HIGHPASS)
"""15×15 kernel of the high-pass residual."""
LOWPASS_FIRST = _mirrored(_LOWPASS_FIRST)
"""9×9 kernel of the low-pass input of the first level."""
LOWPASS = _mirrored(_LOWPASS)
"""17×17 kernel, sum 2, of the low-pass input of each further level, of half the size."""
ORIENTED = (_across(), _diagonal(), np.rot90(_across()), np.rot90(_diagonal()))
"""9×9 kernels of the four orientations, for correlation."""
