"""Evaluation: metrics, compared methods, data sets, the command; the `evaluate` extra."""
