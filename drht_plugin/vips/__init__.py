"""libvips pipelines: lazy images that are corrected when their pixels are asked for."""
