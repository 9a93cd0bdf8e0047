"""Render: a `Scene` and a window of pixels to corrected pixels."""
