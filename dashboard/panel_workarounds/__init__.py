"""Workarounds for Panel and Bokeh, each with its version, upstream reference and condition of removal."""
