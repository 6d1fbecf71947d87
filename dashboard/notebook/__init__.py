"""Greenup in a notebook: computation on the notebook's client, hvPlot views, map tiles, and the dashboard in a cell.

>>> from dashboard import notebook
>>> plan = notebook.plan(NdviRequest(...))    # starts no cluster and computes nothing
>>> stack = notebook.persist(plan, client)    # returns at once, while the cluster computes
>>> notebook.view(stack, client)              # transfers only the pixels of the screen
>>> result = notebook.serve_tiles(stack, client)
>>> hv.element.tiles.OSM() * result.tiles("DJF")    # map tiles in Web Mercator
>>> await notebook.app(client)                # the dashboard
"""

from dashboard.notebook.cell import App, app
from dashboard.notebook.computing import persist, plan
from dashboard.notebook.tiling import TiledResult, serve_tiles
from dashboard.notebook.viewing import view

__all__ = ["App", "TiledResult", "app", "persist", "plan", "serve_tiles", "view"]
