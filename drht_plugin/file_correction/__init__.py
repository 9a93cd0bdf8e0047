"""Correct one picture file into another: settings → plan → outputs → survey and render → report."""

from drht_plugin.file_correction.correct import correct_file
from drht_plugin.file_correction.report import FileReport
from drht_plugin.file_correction.steps import StageCallback

__all__ = ["FileReport", "StageCallback", "correct_file"]
