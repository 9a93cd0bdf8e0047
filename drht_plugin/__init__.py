"""Recover over- and under-exposed pictures with Deep Reciprocating HDR Transformation."""

__version__ = "0.1.0"
