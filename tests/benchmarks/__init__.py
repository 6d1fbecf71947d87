"""Benchmarks of the engine and of the tiles, compared with alternatives in the same run.

``python -m tests.benchmarks compute|plan|memory|tiles|scale [--json]``, from a clone.
"""
