"""Benchmarks of the engine and of the tiles, beside alternatives that are measured in the same run.

``python -m tests.benchmarks compute|plan|memory|tiles|scale [--json]``, from a clone.
"""
