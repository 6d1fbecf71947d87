"""Seasonal and regional reductions of a persisted result, on the workers.

This package imports no modules, so that a worker loads only the module of the reduction that it runs.
"""
