"""The dashboard in a cell of a notebook."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from html import escape

from distributed import Client

from compute.cluster import ClusterSpec, parse_cluster
from compute.products import load_profiles
from compute.settings import Settings, load_settings
from dashboard.app import running_server
from dashboard.server_address import Address


class App:
    """The dashboard, running in the notebook's own process until it is closed; as the value of a cell it shows itself.

    Attributes
    ----------
    url : str
        Where a browser finds it: absolute, or a path of the Jupyter server that shows the notebook.
    """

    def __init__(self, url: str, height: int, running: AsyncExitStack) -> None:
        self.url = url
        self._height = height
        self._running = running

    async def close(self) -> None:
        """Stop the server and its jobs; the notebook's cluster stays."""
        await self._running.aclose()

    def _repr_html_(self) -> str:
        """Return what Jupyter shows: the page in a frame as wide as the cell."""
        style = f"width: 100%; height: {self._height}px; border: 0"
        return f'<iframe src="{escape(self.url)}" title="Greenup" style="{style}"></iframe>'


async def app(
    cluster: Client | str, *, settings: Settings | None = None, base_url: str | None = None, height: int = 820
) -> App:
    """Run the dashboard in the notebook's event loop: ``await app(client)`` as the last line of a cell.

    It computes on the notebook's cluster by a client of its own, so neither meets the other's results. A cell that
    blocks the notebook blocks the page as well.

    Parameters
    ----------
    cluster : distributed.Client or str
        The notebook's client, or a cluster as ``greenup run --cluster`` takes it (``gateway:NAME``).
    settings : Settings, optional
        Index and limits; left out, those of the environment.
    base_url : str, optional
        Path of the Jupyter server, ``$JUPYTERHUB_SERVICE_PREFIX`` on a JupyterHub; its jupyter-server-proxy then
        carries the page to the browser. Left out, the browser runs on this machine.
    height : int
        Pixels of the cell's output.

    Returns
    -------
    App
        Shows itself; keep it to close it.

    Raises
    ------
    InputError
        The client's scheduler is not reached by tcp.
    CatalogError
        The index cannot be reached.
    """
    settings, spec = settings or load_settings(), _spec(cluster)
    # Every user of this machine reaches the port, and below a path that nobody can guess it has the page alone.
    prefix = f"/{secrets.token_hex(16)}"
    # Behind Jupyter the browser's host is unknown here; Jupyter checks it.
    behind = base_url is not None
    address = Address(port=0, prefix=prefix, origins=("*",) if behind else (), proxies=("127.0.0.1",) if behind else ())
    running = AsyncExitStack()
    url = await running.enter_async_context(running_server(settings, load_profiles(None), spec, address))
    return App(url if base_url is None else f"{proxied(url, base_url)}{prefix[1:]}/", height, running)


def _spec(cluster: Client | str) -> ClusterSpec:
    return parse_cluster(cluster if isinstance(cluster, str) else cluster.scheduler_info()["address"])


def proxied(url: str, base_url: str) -> str:
    """Return the path at which jupyter-server-proxy shows a port of this machine."""
    port = url.removeprefix("http://").split("/")[0].rpartition(":")[2]
    return f"{base_url.rstrip('/')}/proxy/{port}/"
