"""Network detail: the detail network on overlapping tiles."""
