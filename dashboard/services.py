"""Services of a server: catalogue, clusters, jobs and tiles, created once by the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TypeVar

from compute.catalog import Catalog, Extent, open_catalog
from compute.cluster import (
    ClusterOption,
    ClusterPool,
    ClusterSpec,
    Connection,
    PooledCluster,
    RunningCluster,
    gateway_options,
    has_gateway,
    list_gateway_clusters,
    short_name,
    stop_gateway_cluster,
)
from compute.errors import InputError
from compute.jobs import (
    ANONYMOUS,
    JobRegistry,
    JobRow,
    JobStore,
    KeptResults,
    Principal,
    Retention,
    plan_request,
    server_secret,
)
from compute.plan import NdviPlan
from compute.products import ProductProfile
from compute.request import NdviRequest
from compute.settings import GIB, Settings
from compute.settings.home import make_private, open_home
from compute.tiles.tile_patches import warm_up, warm_up_cutting
from compute.tiles.tile_queue import TileQueue
from dashboard.event_loop_lag import LoopLag
from dashboard.result_queries import Answers

Answer = TypeVar("Answer")

_OWN_NAME = {"local": "This machine", "gateway": "The server's Gateway cluster", "tcp": "The server's cluster"}


class Services:
    """Catalogue, clusters, jobs and tiles of one server process.

    Parameters
    ----------
    settings : Settings
        Limits and addresses.
    profiles : mapping of str to ProductProfile
        Descriptions of products by name.
    cluster : ClusterSpec
        Default cluster of visitors.
    is_local_only : bool
        Whether only browsers on this machine can use the page.
    """

    def __init__(
        self,
        settings: Settings,
        profiles: Mapping[str, ProductProfile],
        cluster: ClusterSpec,
        *,
        is_local_only: bool = False,
    ) -> None:
        self.settings = settings
        self.profiles = profiles
        self.cluster = cluster
        self._is_local_only = is_local_only
        self.clusters = ClusterPool(settings, warm_up)
        self.retention = Retention(days=settings.results_max_age_days, most_bytes=settings.results_max_gib * GIB)
        self.kept = _kept(settings)
        self.jobs = JobRegistry(
            self.clusters,
            server_secret(settings),
            settings.max_failed_share,
            store=JobStore.from_settings(settings),
            kept=self.kept,
            own=cluster,
            must_keep=settings.require_durable,
            most_at_once=settings.max_jobs_per_user,
        )
        self.tiles = TileQueue(cache_mib=settings.tile_cache_mib, queue=settings.tile_queue)
        self.lag = LoopLag()
        self._measuring: asyncio.Task[None] | None = None
        self.answers = Answers(self._own_cluster, self.kept, queue=settings.question_queue)
        # The catalogue has its own thread, because it is not thread-safe and its queries must not block the page.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalogue")
        # Regions have their own thread, because parsing may take a second, and must not delay the encoding of tiles.
        self._parsing = ThreadPoolExecutor(1, thread_name_prefix="parsing")
        self._open = ExitStack()
        self._catalog: Catalog | None = None

    async def start(self) -> None:
        """Open the catalogue, start to open the default cluster, and take over the jobs that no server holds.

        Raises
        ------
        CatalogError
            The index cannot be reached.
        """
        await self._ask(lambda _: None)
        # Compilation, on the first start on a machine, would delay all users at the first tile.
        await asyncio.to_thread(warm_up_cutting)
        self._measuring = asyncio.create_task(self.lag.measure())
        self.clusters.open(self.cluster)
        await self.jobs.start(self.retention)

    async def close(self) -> None:
        """Stop jobs and clusters, and close the catalogue."""
        if self._measuring is not None:
            self._measuring.cancel()
        await self.jobs.close()
        if self.kept is not None:
            await self.kept.close()
        await self.clusters.close()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open.close)
        self._thread.shutdown()
        self._parsing.shutdown()

    async def parse(self, read: Callable[[], Answer]) -> Answer:
        """Call a function that parses large input in a thread, one call after another, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._parsing, read)

    async def products(self) -> list[str]:
        """Return the products that are indexed and described."""
        found = await self._ask(lambda catalog: catalog.products())
        return [name for name in found if name in self.profiles]

    async def extent(self, product: str) -> Extent | None:
        """Return the extent of a product's scenes in space and time; None if the index has no scenes of it."""
        return await self._ask(lambda catalog: catalog.extent([product]))

    async def plan(self, request: NdviRequest) -> NdviPlan:
        """Plan a request; see `compute.jobs.plan_request`."""
        return await self._ask(lambda catalog: plan_request(request, catalog, self.profiles, self.settings))

    def kept_until(self, row: JobRow) -> str | None:
        """Return the day in ISO format on which a result expires, unless it is opened before.

        None if the result is not finished, or is only in the memory of its cluster.
        """
        kept = row.state == "done" and row.size
        return self.retention.kept_until(row).date().isoformat() if kept else None

    @property
    def retention_words(self) -> str:
        """Sentence for users on the retention of results."""
        if self.kept is None:
            return "What you compute stays here for as long as its cluster runs."
        days = self.settings.results_max_age_days
        return f"What you compute is kept for {days:g} days after somebody last opened it."

    @property
    def has_gateway(self) -> bool:
        """Whether a Gateway is configured."""
        return has_gateway(self.settings)

    @property
    def cluster_name(self) -> str:
        """Display name of the cluster that the server was started with."""
        return _OWN_NAME[self.cluster.kind]

    def held_clusters(self, principal: Principal) -> list[PooledCluster]:
        """Return the clusters of the principal that visits have started or connected to, except failed ones."""
        return [each for each in self.clusters.clusters() if each.spec.owner == principal.scope and not each.error]

    async def running_clusters(self, principal: Principal) -> list[RunningCluster]:
        """Return the running Gateway clusters that the principal may connect to and that are not open here.

        All of them belong to this server's user at the Gateway. Clusters that servers started for a scope are returned
        only to principals of that scope, and clusters that no server started only to users without a login.

        Raises
        ------
        InputError
            No Gateway is configured.
        ClusterError
            The Gateway cannot be reached, or refuses the login.
        """
        running = await list_gateway_clusters(self.settings)
        held = {each.short_name for each in self.clusters.clusters() if each.spec.owner is None or not each.error}
        return [each for each in running if each.short_name not in held and self._is_of(each.name, principal)]

    async def cluster_options(self) -> list[ClusterOption]:
        """Return the options of new Gateway clusters; raises as `running_clusters`."""
        return await gateway_options(self.settings)

    async def stop_cluster(self, cluster: ClusterSpec, principal: Principal) -> None:
        """Shut down a cluster of the principal, and fail the jobs that are queued for it.

        Raises
        ------
        InputError
            The cluster does not belong to the principal.
        ClusterError
            The Gateway did not shut down the cluster.
        """
        if cluster.owner != principal.scope or (cluster.name and not self._is_of(cluster.name, principal)):
            raise InputError("cluster", "Only those who started a cluster can stop it; choose one of yours.")
        if cluster.name:
            await stop_gateway_cluster(self.settings, cluster.name)
        await self.jobs.fail_waiting_jobs(cluster)
        await self.clusters.stop(cluster)

    def dashboard_of(self, pooled: PooledCluster, principal: Principal) -> Callable[[], str] | None:
        """Return a function that returns the URL of a cluster's Dask dashboard; None if the principal may not see it.

        The dashboard shows the work of all users, including code, so only the owner of the cluster may see it. The
        server's own cluster has no owner; its dashboard is shown if there is no login and the page is local only.
        """
        owner = ANONYMOUS.scope if pooled.spec.owner is None and self._is_local_only else pooled.spec.owner
        return pooled.connection.dashboard if pooled.connection and owner == principal.scope else None

    def dashboard(self, cluster: str, principal: Principal) -> str:
        """Return the URL of a cluster's Dask dashboard, by the id of the cluster; it must not appear in pages and logs.

        Raises
        ------
        InputError
            No such cluster is open, or the principal may not see its dashboard; the message is the same in both cases.
        """
        for pooled in self.clusters.clusters():
            found = self.dashboard_of(pooled, principal) if pooled.id == cluster else None
            if found is not None:
                return found()
        raise InputError("cluster", "There is no such cluster here; choose another.")

    def _is_of(self, name: str, principal: Principal) -> bool:
        return self.jobs.cluster_owner(short_name(name)) == principal.scope

    async def _own_cluster(self) -> Connection:
        return await self.clusters.get(self.cluster)

    async def _ask(self, question: Callable[[Catalog], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)

    def _answer(self, question: Callable[[Catalog], Answer]) -> Answer:
        if self._catalog is None:
            self._catalog = self._open.enter_context(open_catalog(self.settings))
        return question(self._catalog)


def _kept(settings: Settings) -> KeptResults | None:
    """Return the store of results; None if the setting is ``none``."""
    if settings.results == "none":
        return None
    if settings.results is None:
        with suppress(OSError):  # the first write reports the error
            make_private(open_home(settings) / "results")
    return KeptResults(settings.results_location, required=settings.require_durable)
