"""What lies beside the pixels: EXIF, XMP, ICC profiles, and how each format holds them."""
