"""Services of a server: catalogue, clusters, jobs and tiles, built once by the composition root."""

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
        What products mean.
    cluster : ClusterSpec
        Where visitors compute unless they choose otherwise.
    is_local_only : bool
        Whether nobody but people of this machine can come.
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
        # The catalogue serves one thread at a time, and a query must not hold up the page: it has a thread of its own.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalogue")
        # Regions may take a second to parse, in which tiles are packed by other threads.
        self._parsing = ThreadPoolExecutor(1, thread_name_prefix="parsing")
        self._open = ExitStack()
        self._catalog: Catalog | None = None

    async def start(self) -> None:
        """Open the catalogue, start warming the default cluster, and take up the jobs that nobody works on.

        Raises
        ------
        CatalogError
            The index cannot be reached.
        """
        await self._ask(lambda _: None)
        # Compiled the first time on a machine, which would hold up everybody while the first tile is made.
        await asyncio.to_thread(warm_up_cutting)
        self._measuring = asyncio.create_task(self.lag.measure())
        self.clusters.open(self.cluster)
        await self.jobs.start(self.retention)

    async def close(self) -> None:
        """Lay jobs down, stop clusters, close the catalogue."""
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
        """Return what a function makes of input of any size, read beside the event loop, one after another."""
        return await asyncio.get_running_loop().run_in_executor(self._parsing, read)

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

    def kept_until(self, row: JobRow) -> str | None:
        """Return the day on which a result expires unless somebody opens it, in ISO format.

        None while it is made, and where it lies in the memory of its cluster alone.
        """
        kept = row.state == "done" and row.size
        return self.retention.kept_until(row).date().isoformat() if kept else None

    @property
    def retention_words(self) -> str:
        """Sentence on the retention of results."""
        if self.kept is None:
            return "What you compute stays here for as long as its cluster runs."
        days = self.settings.results_max_age_days
        return f"What you compute is kept for {days:g} days after somebody last opened it."

    @property
    def has_gateway(self) -> bool:
        """Whether there is a Gateway to ask for clusters."""
        return has_gateway(self.settings)

    @property
    def cluster_name(self) -> str:
        """Name for people of the cluster that the server was started with."""
        return _OWN_NAME[self.cluster.kind]

    def held_clusters(self, principal: Principal) -> list[PooledCluster]:
        """Return the clusters that the principal's visits have started or connected to, and that have not failed."""
        return [each for each in self.clusters.clusters() if each.spec.owner == principal.scope and not each.error]

    async def running_clusters(self, principal: Principal) -> list[RunningCluster]:
        """Return the Gateway's other clusters that the principal may connect to.

        They run under this server's name at the Gateway: what it started for one scope is kept from the others, and
        what was started elsewhere is offered to those who need no login, as they share that name.

        Raises
        ------
        InputError
            No Gateway is configured.
        ClusterError
            It cannot be reached, or refuses the login.
        """
        running = await list_gateway_clusters(self.settings)
        held = {each.short_name for each in self.clusters.clusters() if each.spec.owner is None or not each.error}
        return [each for each in running if each.short_name not in held and self._is_of(each.name, principal)]

    async def cluster_options(self) -> list[ClusterOption]:
        """Return what a new Gateway cluster can be given; raises as `running_clusters` does."""
        return await gateway_options(self.settings)

    async def stop_cluster(self, cluster: ClusterSpec, principal: Principal) -> None:
        """Shut a cluster of the principal's down, started here or elsewhere.

        Raises
        ------
        InputError
            It is not the principal's.
        ClusterError
            The Gateway did not shut it down.
        """
        if cluster.owner != principal.scope or (cluster.name and not self._is_of(cluster.name, principal)):
            raise InputError("cluster", "Only those who started a cluster can stop it; choose one of yours.")
        if cluster.name:
            await stop_gateway_cluster(self.settings, cluster.name)
        await self.jobs.fail_waiting_jobs(cluster)
        await self.clusters.stop(cluster)

    def dashboard_of(self, pooled: PooledCluster, principal: Principal) -> Callable[[], str] | None:
        """Return what tells where Dask's dashboard of a cluster answers; None where the principal may not see it.

        It tells of everybody's work, code included. So it is for who owns the cluster; the server's own belongs to
        nobody, unless nobody but people of this machine can come, and without a login.
        """
        owner = ANONYMOUS.scope if pooled.spec.owner is None and self._is_local_only else pooled.spec.owner
        return pooled.connection.dashboard if pooled.connection and owner == principal.scope else None

    def dashboard(self, cluster: str, principal: Principal) -> str:
        """Return the URL of Dask's dashboard of a cluster, by its id; not for pages and logs.

        Raises
        ------
        InputError
            There is none that the principal may see: the sentence is the same.
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
    """Return where results outlive their clusters; None where the setting says nowhere."""
    if settings.results == "none":
        return None
    if settings.results is None:
        with suppress(OSError):  # whoever writes there says so
            make_private(open_home(settings) / "results")
    return KeptResults(settings.results_location, required=settings.require_durable)
