"""Timings of the library beside the ceilings of the machine: `python -m benchmarks --help`.

`suite.MODULES` names those that take part; the others are commands of their own.
"""
