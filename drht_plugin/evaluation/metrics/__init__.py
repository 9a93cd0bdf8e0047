"""Full-reference image quality metrics, each as `metric(test, reference, …)` on numpy arrays.

==============  ===================  ==========================================================
metric          images               value
==============  ===================  ==========================================================
`psnr`          display-encoded      dB, infinite for equal images
`ssim`          display-encoded      at most 1
`fsim`          display-encoded      at most 1; `fsimc` counts chrominance too
`tmqi`          display and HDR      at most 1: structure and naturalness of a tone-mapped image
`hdr_vdp2`      cd/m² (or display)   Q, 100 for equal images
`pu21_psnr`     cd/m²                dB, infinite for equal images
`cvvdp`         either               JOD, 10 for equal images; needs the extra `evaluate-cvvdp`
==============  ===================  ==========================================================

Display-encoded images are uint8, uint16, or floating point in 0..1. Images in cd/m² are linear
light in absolute units, floating point, 0 or more. Colour images are H×W×3 with BT.709 primaries.
Metrics raise `InputError` for images that they do not accept. The values agree with the authors'
code up to rounding. scipy and scikit-image are imported when a metric first needs them.
"""

from ._cvvdp import cvvdp
from ._display import psnr, ssim
from ._fsim import fsim, fsimc
from ._pu21 import pu21_psnr
from ._tmqi import TmqiDetails, tmqi, tmqi_details
from .hdrvdp import HdrVdp2Details, hdr_vdp2, hdr_vdp2_details

__all__ = [
    "HdrVdp2Details",
    "TmqiDetails",
    "cvvdp",
    "fsim",
    "fsimc",
    "hdr_vdp2",
    "hdr_vdp2_details",
    "psnr",
    "pu21_psnr",
    "ssim",
    "tmqi",
    "tmqi_details",
]
