"""Timings of the library beside the ceilings of the machine: `python -m benchmarks --help`.

Each module here that has `BENCHMARKS` takes part: a tuple of `suite.Benchmark`.
"""
