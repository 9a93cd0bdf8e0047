"""Colour spaces of pictures, from ICC profiles and code points: to linear sRGB and back."""
