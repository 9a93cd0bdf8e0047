"""libvips pipelines: lazy images that are corrected when their pixels are asked for."""

from drht_plugin.vips._correct import correct, survey
from drht_plugin.vips._generate import run
from drht_plugin.vips._write import write

__all__ = ["correct", "run", "survey", "write"]
