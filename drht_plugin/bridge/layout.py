"""How the detail network takes pixels; known to the network, its kernels and the tiles."""

CELL = 2
"""Side of the square of pixels that is one place of the network's input and output; its pixels
(0, 0), (0, 1), (1, 0), (1, 1) follow one another in the channels."""

PLANES = 16
"""Features of a pixel: x, x − up(x of the overview), up(T), up(y), guided T: 3 each; clip mask."""

STRIDE = 8
"""Tiles begin at multiples of this, and their sides are multiples of it."""

HALO = 32
"""Pixels around a part of a tile, in whole strides, that the network's output there depends on."""
