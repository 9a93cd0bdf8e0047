"""The two networks, their weights, and where they run."""
