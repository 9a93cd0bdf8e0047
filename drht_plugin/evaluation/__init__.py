"""Evaluation against ground truth: metrics, compared methods, data sets, the runs and the report.

Needs the extra `evaluate`.
"""
