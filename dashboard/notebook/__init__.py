"""The same computation in a notebook: on its own client, seen through hvPlot, or with the dashboard in a cell.

>>> from dashboard import notebook
>>> plan = notebook.plan(NdviRequest(...))    # costs nothing
>>> stack = notebook.persist(plan, client)    # returns at once; the cluster works
>>> notebook.view(stack, client)              # only the pixels of the screen travel
>>> result = notebook.serve_tiles(stack, client)
>>> hv.element.tiles.OSM() * result.tiles("DJF")    # as map tiles, in Web Mercator
>>> await notebook.app(client)                # the whole dashboard
"""

from dashboard.notebook.cell import App, app
from dashboard.notebook.computing import persist, plan
from dashboard.notebook.tiling import TiledResult, serve_tiles
from dashboard.notebook.viewing import view

__all__ = ["App", "TiledResult", "app", "persist", "plan", "serve_tiles", "view"]
