"""Network detail: run the detail network on overlapping tiles."""
