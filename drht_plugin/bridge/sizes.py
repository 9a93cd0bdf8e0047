"""Sizes that the networks, their kernels, the tiles and the tone grid's fit share."""

NETWORK_STRIDE = 32
"""Heights and widths of overviews are multiples of this, which the two survey networks need."""

CELL = 2
"""Side of the square of pixels that is one place of the detail network's input and output. The
pixels (0, 0), (0, 1), (1, 0), (1, 1) follow one another in the channels."""

PLANES = 24
"""Features of a pixel in the detail network's input: x, x − up(overview of x), up(T), up(y) and
guided T, 3 each; clip mask; noise at both distances, see `engine.noise_curve`; local contrast of x
and of guided T, 3 each."""

MEAN_RADIUS = 2
"""Radius of the window whose mean a pixel is compared with; the kernels have that many terms."""

DETAIL_STRIDE = 8
"""Tiles start at multiples of this many pixels, and so are their sides."""

HALO = 32
"""Pixels around a part of a tile, in whole strides, that the network's output there depends on: 30
by its convolutions and `MEAN_RADIUS` by its planes."""

LEVELS = 8
"""Luma levels of a tone grid."""

NO_SLOPE = -1.0
"""Stands for the overview where nothing is smoothed; further from any pixel than a slope would
be."""

CLIP_FROM = 0.95
"""Display code at which the clip mask of the detail network's planes rises from 0; 1 at white."""

Y_MOST = 3.0
"""Limit of y in the planes."""

NOISE_SCALE = 20.0
"""Scale of the noise planes, since noise is small beside what the other planes hold."""

CONTRAST_DEVIATIONS, CONTRAST_LEAST = 2 / 20, 0.25 / 255
"""Local contrast that maps to half of its limit: two standard deviations of noise, in the scale of
the noise planes, and a quarter of a code. Unscaled it would be too small beside the tones."""

FINE_SCALE = 8.0
"""Scale of guided T's local contrast, which bfloat16 would round away beside the tones."""

SURE, UNSURE = 0.8, 0.5
"""Difference between a pixel and the overview of a smooth slope, in quantisation steps: above the
first the pixel is kept, below the second the overview replaces it."""
