"""Benchmarks: timings of the library relative to the machine's limits, and checks of quality.

`python -m benchmarks --help` explains the suite. The modules that are not in `suite.MODULES` are
separate commands.
"""
