"""The command line `drht`: one module per subcommand."""

from drht_plugin.cli.main import main

__all__ = ["main"]
