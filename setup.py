"""Puts the GIMP plug-in, which lies outside the package, into the package that is built.

Everything else is in pyproject.toml. An editable install finds the plug-in in the checkout.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SUFFIXES = (".py", ".html", ".css", ".xml", ".mo")
PLUGIN = Path("gimp", "drht")
PACKAGED = Path("drht_plugin", "gimp_plugin")


class BuildWithPlugin(build_py):
    """Builds the package with the plug-in as its data."""

    def run(self) -> None:
        """Build the modules, then copy the plug-in beside them."""
        super().run()
        if not self.editable_mode:
            for target, source in self._plugin().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """All files that are built."""
        return [*super().get_outputs(include_bytecode), *self._plugin()]

    def get_output_mapping(self) -> dict[str, str]:
        """Source of each built file, for strict editable installs."""
        return {**super().get_output_mapping(), **self._plugin()}

    def get_source_files(self) -> list[str]:
        """All files that a source distribution needs to build."""
        return [*super().get_source_files(), *self._plugin().values()]

    def _plugin(self) -> dict[str, str]:
        """Source of each of the plug-in's files, by what is built of it."""
        into = Path(self.build_lib, PACKAGED)
        sources = sorted(path for path in PLUGIN.rglob("*") if path.suffix in SUFFIXES)
        return {str(into / source.relative_to(PLUGIN)): str(source) for source in sources}


setup(cmdclass={"build_py": BuildWithPlugin})
