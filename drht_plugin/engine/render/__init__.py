"""Render: turn a `Scene` and a window of pixels into corrected pixels."""
