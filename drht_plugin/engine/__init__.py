"""Survey once, render anywhere: whole image to `Scene`, scene and window to corrected pixels."""
