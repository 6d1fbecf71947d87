"""The same computation in a notebook: on its own client, seen through hvPlot, or with the dashboard in a cell.

>>> from dashboard import notebook
>>> plan = notebook.plan(NdviRequest(...))    # costs nothing
>>> stack = notebook.persist(plan, client)    # returns at once; the cluster works
>>> notebook.view(stack, client)              # only the pixels of the screen travel
>>> await notebook.app(client)                # the whole dashboard
"""

from dashboard.notebook.cell import App, app
from dashboard.notebook.computing import persist, plan
from dashboard.notebook.viewing import view

__all__ = ["App", "app", "persist", "plan", "view"]
