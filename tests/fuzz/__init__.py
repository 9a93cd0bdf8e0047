"""Mutated and hostile inputs of every kind, in child processes with limits.

``python -m tests.fuzz --minutes 20`` runs it from the repository's root; `test_fuzz.py` runs a few
seconds of it with a fixed seed.
"""
