"""Parts of libvips that files and pipelines share: C functions, lazy images, smaller copies."""
