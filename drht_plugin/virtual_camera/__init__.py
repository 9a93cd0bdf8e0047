"""A virtual camera that takes badly exposed LDR pictures of HDR images.

Training, evaluation and the examples use it: project a view, multiply it by an exposure, and
`shoot` it. All functions work on batches of torch tensors, on the CPU or a GPU; the noise depends
only on the generator given. Radiance is scene-linear with BT.709 primaries, in any unit. After
multiplication by the exposure it is H, with H = 1 at the camera's clip point.
"""

from drht_plugin.virtual_camera.exposure import Curve, display_codes, metered_exposure
from drht_plugin.virtual_camera.jpeg_loss import jpeg
from drht_plugin.virtual_camera.light import box_mean, luminance, to_device
from drht_plugin.virtual_camera.projection import Aim, HdrImage, view, views
from drht_plugin.virtual_camera.sensor import Sensor, shoot

__all__ = [
    "Aim",
    "Curve",
    "HdrImage",
    "Sensor",
    "box_mean",
    "display_codes",
    "jpeg",
    "luminance",
    "metered_exposure",
    "shoot",
    "to_device",
    "view",
    "views",
]
