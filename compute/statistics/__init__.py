"""Seasonal and regional reductions of a persisted result, on the workers.

Nothing is imported here, so that a worker loads only the module of the reduction that it runs.
"""
