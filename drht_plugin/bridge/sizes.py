"""Sizes that networks, kernels, tiles and the fit of the tone grid agree on.

Known to the networks, their kernels, the tiles and the fit.
"""

NETWORK_STRIDE = 32
"""Heights and widths of overviews, which the DRHT networks see, are multiples of this."""

CELL = 2
"""Side of the square of pixels that is one place of the network's input and output; its pixels
(0, 0), (0, 1), (1, 0), (1, 1) follow one another in the channels."""

PLANES = 24
"""Features of a pixel: x, x − up(x of the overview), up(T), up(y), guided T: 3 each; clip mask;
noise at both distances, see `engine.noise`; x and guided T against the pixels around: 3 each."""

MEAN_RADIUS = 2
"""Pixels to each side that a pixel is compared with; kernels have as many terms."""

DETAIL_STRIDE = 8
"""Tiles begin at multiples of this, and their sides are multiples of it."""

HALO = 32
"""Pixels around a part of a tile, in whole strides, that the network's output there depends on: 30
by its convolutions, and `MEAN_RADIUS` more by its planes."""

LEVELS = 8
"""Luma levels of a tone grid."""

NO_SLOPE = -1.0
"""In place of the overview: further from every pixel than what is taken to be a slope's."""
