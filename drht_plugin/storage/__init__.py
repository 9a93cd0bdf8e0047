"""Write files so that they appear complete or not at all, and read small ones safely."""

from drht_plugin.storage.replace import replacing, reserve
from drht_plugin.storage.small_json import parse_json, read_json_object

__all__ = ["parse_json", "read_json_object", "replacing", "reserve"]
