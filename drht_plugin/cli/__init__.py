"""The command `drht`: one module for each of its commands."""

from drht_plugin.cli.main import main

__all__ = ["main"]
