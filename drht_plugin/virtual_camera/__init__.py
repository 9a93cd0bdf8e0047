"""The virtual camera: HDR images to views, exposures and LDR shots.

Used for training, evaluation and examples. Everything works on batches of torch tensors, on the
CPU or a GPU, and is deterministic by the generator given. Radiance is scene-linear, BT.709
primaries, in a unit that is free for each scene; after `expose` it is H, with H = 1 at the
camera's clip point.
"""

from drht_plugin.virtual_camera.exposure import Curve, display_codes, metered_exposure
from drht_plugin.virtual_camera.jpeg_loss import jpeg
from drht_plugin.virtual_camera.light import box_mean, luminance, sent
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
    "sent",
    "shoot",
    "view",
    "views",
]
