"""Seasonal NDVI on a Dask cluster: the headless half of Greenup.

A notebook, the command line and the dashboard are three callers of this package with equal rights; it knows of no
browser.
"""

from importlib.metadata import version

__version__ = version("greenup")
