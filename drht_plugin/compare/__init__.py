"""Pages that show pictures before and after: a folder that any browser opens, without a network."""

from drht_plugin.compare.page import Page, require_free, write_page
from drht_plugin.compare.pairs import Pair, find_pairs

__all__ = ["Page", "Pair", "find_pairs", "require_free", "write_page"]
