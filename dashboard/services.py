"""What the server has one of: catalogue, clusters, jobs. Built once by the composition root, shared by all visits."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from compute.catalog import Catalog, Extent, open_catalog
from compute.cluster import ClusterPool, ClusterSpec, list_gateway_clusters
from compute.errors import GreenupError
from compute.jobs import JobRegistry, plan_request
from compute.patches import warm_up
from compute.plan import NdviPlan
from compute.products import ProductProfile
from compute.request import NdviRequest
from compute.settings import Settings

Answer = TypeVar("Answer")

OWN_CLUSTER = "own"
"""The choice that stands for the cluster that the server was started with."""

_OWN_NAME = {"local": "This machine", "gateway": "The server's Gateway cluster", "tcp": "The server's cluster"}


class Services:
    """Catalogue, clusters and jobs of one server process.

    Parameters
    ----------
    settings : Settings
        Limits and addresses.
    profiles : mapping of str to ProductProfile
        What products mean.
    cluster : ClusterSpec
        Where visitors compute unless they choose otherwise.
    """

    def __init__(self, settings: Settings, profiles: Mapping[str, ProductProfile], cluster: ClusterSpec) -> None:
        self.settings = settings
        self.profiles = profiles
        self.cluster = cluster
        self.clusters = ClusterPool(settings, warm_up)
        self.jobs = JobRegistry(self.clusters, secrets.token_bytes(32))
        # The catalogue serves one thread at a time, and a query must not hold up the page: it has a thread of its own.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalogue")
        self._open = ExitStack()
        self._catalog: Catalog | None = None

    async def start(self) -> None:
        """Open the catalogue and start warming the default cluster.

        Raises
        ------
        CatalogError
            The index cannot be reached.
        """
        await self._ask(lambda _: None)
        self.clusters.open(self.cluster)

    async def close(self) -> None:
        """Stop jobs and clusters, close the catalogue."""
        await self.jobs.close()
        await self.clusters.close()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open.close)
        self._thread.shutdown()

    async def products(self) -> list[str]:
        """Return the products that are indexed and described."""
        found = await self._ask(lambda catalog: catalog.products())
        return [name for name in found if name in self.profiles]

    async def extent(self, product: str) -> Extent | None:
        """Return where and when a product has scenes."""
        return await self._ask(lambda catalog: catalog.extent([product]))

    async def plan(self, request: NdviRequest) -> NdviPlan:
        """Plan a request; see `compute.jobs.plan_request`."""
        return await self._ask(lambda catalog: plan_request(request, catalog, self.profiles, self.settings))

    async def cluster_choices(self) -> dict[str, str]:
        """Return the clusters that a visitor may choose, by name for people."""
        choices = {_OWN_NAME[self.cluster.kind]: OWN_CLUSTER}
        if not self.settings.gateway_address:
            return choices
        choices["New Gateway cluster"] = "gateway"
        try:
            running = await list_gateway_clusters(self.settings)
        except GreenupError:
            return choices
        return choices | {f"Gateway cluster {each.short_name}": f"gateway:{each.short_name}" for each in running}

    async def _ask(self, question: Callable[[Catalog], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)

    def _answer(self, question: Callable[[Catalog], Answer]) -> Answer:
        if self._catalog is None:
            self._catalog = self._open.enter_context(open_catalog(self.settings))
        return question(self._catalog)
