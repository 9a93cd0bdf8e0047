"""The HTML report: one self-contained file with tables and before/after pictures."""

from drht_plugin.evaluation.report._examples import Example, examples
from drht_plugin.evaluation.report._page import page

__all__ = ["Example", "examples", "page"]
