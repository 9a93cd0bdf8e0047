"""What files and pipelines both need of libvips: its C functions, lazy images, smaller copies."""
