"""Metadata of picture files (EXIF, XMP, ICC profiles), and how each format stores it."""
