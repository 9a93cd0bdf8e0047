"""Write files so that they appear complete or not at all."""

from drht_plugin.storage.replace import replacing, reserve

__all__ = ["replacing", "reserve"]
