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
    """Dashboard that runs in the notebook's process until it is closed; as the value of a cell it shows its page.

    Attributes
    ----------
    url : str
        URL of the page: absolute, or a path of the Jupyter server that shows the notebook.
    """

    def __init__(self, url: str, height: int, running: AsyncExitStack) -> None:
        self.url = url
        self._height = height
        self._running = running

    async def close(self) -> None:
        """Stop the server and its jobs; the notebook's cluster keeps running."""
        await self._running.aclose()

    def _repr_html_(self) -> str:
        """Return the HTML of a frame that shows the page, as wide as the cell."""
        style = f"width: 100%; height: {self._height}px; border: 0"
        return f'<iframe src="{escape(self.url)}" title="Greenup" style="{style}"></iframe>'


async def app(
    cluster: Client | str, *, settings: Settings | None = None, base_url: str | None = None, height: int = 820
) -> App:
    """Run the dashboard in the notebook's event loop, as in ``await app(client)`` on the last line of a cell.

    The dashboard connects to the cluster with its own client, so its results are separate from those of the notebook. A
    cell that blocks the event loop also blocks the page.

    Parameters
    ----------
    cluster : distributed.Client or str
        Client of the notebook, or a cluster as in ``greenup run --cluster``, such as ``gateway:NAME``.
    settings : Settings, optional
        Index and limits; by default from the environment.
    base_url : str, optional
        Path of the Jupyter server (on a JupyterHub, ``$JUPYTERHUB_SERVICE_PREFIX``), whose jupyter-server-proxy
        forwards the page. By default the page is for browsers on this machine.
    height : int
        Height of the cell's output in pixels.

    Returns
    -------
    App
        The running dashboard, which runs until `App.close` is called.

    Raises
    ------
    InputError
        The address of the client's scheduler is not a tcp address.
    CatalogError
        The index cannot be reached.
    """
    settings, spec = settings or load_settings(), _read_cluster_spec(cluster)
    # All users of this machine can reach the port, so the page lies below an unguessable path.
    prefix = f"/{secrets.token_hex(16)}"
    # Behind Jupyter the host of the browser is unknown here; Jupyter checks the origin.
    behind = base_url is not None
    address = Address(port=0, prefix=prefix, origins=("*",) if behind else (), proxies=("127.0.0.1",) if behind else ())
    running = AsyncExitStack()
    url = await running.enter_async_context(running_server(settings, load_profiles(None), spec, address))
    return App(url if base_url is None else f"{format_proxy_url(url, base_url)}{prefix[1:]}/", height, running)


def _read_cluster_spec(cluster: Client | str) -> ClusterSpec:
    return parse_cluster(cluster if isinstance(cluster, str) else cluster.scheduler_info()["address"])


def format_proxy_url(url: str, base_url: str) -> str:
    """Return the path at which jupyter-server-proxy serves a port of this machine.

    Parameters
    ----------
    url : str
        URL on this machine, with its port.
    base_url : str
        Path of the Jupyter server.
    """
    port = url.removeprefix("http://").split("/")[0].rpartition(":")[2]
    return f"{base_url.rstrip('/')}/proxy/{port}/"
