"""What a visitor does with clusters, on a real Dask Gateway but without a browser, and what others see of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from compute.cluster import ClusterSpec, list_gateway_clusters, open_cluster, parse_cluster
from compute.errors import InputError
from compute.jobs import ANONYMOUS, Principal
from compute.settings import Settings
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.session.cluster_control import ClusterController
from dashboard.state import NEW_CLUSTER, OWN_CLUSTER, ClusterState, VisitState
from tests.fixtures.gateway import MAX_WORKERS, GatewayServer

pytestmark = pytest.mark.gateway

OWN = parse_cluster("tcp://127.0.0.1:9")
"""The server's own cluster, of which these tests ask nothing."""

ANN, BOB = (Principal(name=name, scope=name) for name in ("ann", "bob"))


@dataclass
class Visit:
    """A visitor's page without its views."""

    services: Services
    principal: Principal = ANONYMOUS
    state: ClusterState = field(default_factory=ClusterState)

    def __post_init__(self) -> None:
        self.clusters = ClusterController(self.state, self.services, BackgroundTasks(VisitState()), self.principal)

    async def until(self, true: Callable[[ClusterState], object], within_s: float = 90.0) -> None:
        """Look, as a page does, until something is so."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not true(self.state):
            assert asyncio.get_running_loop().time() < deadline, (self.state.status_text, self.notice)
            self.clusters.poll()
            await asyncio.sleep(0.05)

    async def choose(self, choice: str) -> None:
        self.state.choice = choice
        await self._answered()

    async def look(self) -> None:
        self.state.param.trigger("refresh")
        await self._answered()

    async def _answered(self) -> None:
        await asyncio.sleep(0)
        await self.until(lambda state: not state.refreshing)

    async def start(self, **values: str) -> None:
        await self.choose(NEW_CLUSTER)
        self.state.option_values = values
        self.state.param.trigger("start")
        await self.until(lambda state: state.status == "idle")

    async def do(self, act: str) -> None:
        """Press a button, and wait until it is done."""
        self.state.param.trigger(act)
        await asyncio.sleep(0)
        await self.until(lambda state: not state.pending_action)

    @property
    def notice(self) -> tuple[str, str]:
        said = self.state.notice or {"kind": "", "text": ""}
        return said["kind"], said["text"]


def run(settings: Settings, act: Callable[[Services], Awaitable[None]]) -> None:
    """Run a test on the services of a server; what it leaves running is stopped."""

    async def bounded() -> None:
        services = Services(settings, {}, OWN)
        try:
            async with asyncio.timeout(240):
                await act(services)
        finally:
            await services.close()

    asyncio.run(bounded())


@pytest.fixture
def settings(gateway_settings: Settings, gateway: GatewayServer) -> Iterator[Settings]:
    """Settings that lead to the Gateway; at the end nothing of it may be left."""
    yield gateway_settings
    for _ in range(400):
        if not gateway.processes():
            return
        asyncio.run(asyncio.sleep(0.05))
    raise AssertionError("processes of the Gateway's clusters are left")


@asynccontextmanager
async def running_elsewhere(settings: Settings) -> None:
    """A cluster that this user's notebook has started; what it is called."""
    async with open_cluster(parse_cluster("gateway", workers=1), settings) as cluster:
        yield cluster.name


def test_a_cluster_that_nobody_needs_is_let_go_unless_it_is_to_stay(settings: Settings) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        state = visit.state
        await visit.start()
        (pooled,) = services.clusters.clusters()
        await visit.until(lambda state: ", let go in " in state.status_text)
        state.keep_alive = True
        await asyncio.sleep(4.0)
        visit.clusters.poll()
        assert ", let go in " not in state.status_text
        assert services.clusters.clusters() == [pooled]
        state.keep_alive = False
        # Needed: what works or is looked at says so every two seconds.
        for _ in range(8):
            services.clusters.mark_used(pooled.spec)
            await asyncio.sleep(0.5)
        assert services.clusters.clusters() == [pooled]
        await visit.until(lambda state: state.choice == NEW_CLUSTER)
        assert visit.notice == ("info", f"The Gateway cluster {pooled.short_name} was stopped after being idle.")
        assert await list_gateway_clusters(settings) == []

    run(settings.model_copy(update={"cluster_linger_s": 3.0}), story)


def test_a_cluster_is_started_scaled_and_stopped(settings: Settings, gateway: GatewayServer) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        state = visit.state
        assert state.actions == []
        await visit.choose(NEW_CLUSTER)
        assert [option.name for option in state.options] == ["worker_threads", "worker_memory", "fault"]
        assert (state.actions, state.status_text) == (["start"], "No cluster yet")
        await visit.start(worker_threads="2", worker_memory="1.0")
        (pooled,) = services.clusters.clusters()
        assert dict(pooled.spec.options) == {"worker_threads": "2"}, "defaults need not be said"
        name = f"Gateway cluster {pooled.short_name}"
        # Nobody needs it, which is said after a few seconds: in how many minutes it is let go.
        assert state.status_text.startswith(f"{name} · 1 worker, 2 threads, 1 GiB")
        assert state.choices == {
            "The server's cluster": OWN_CLUSTER,
            name: state.choice,
            "New Gateway cluster": NEW_CLUSTER,
        }
        assert state.actions == ["scale", "keep_alive", "stop"]
        assert visit.clusters.open_spec() is pooled.spec

        state.workers = MAX_WORKERS + 1
        await visit.do("scale")
        assert visit.notice == ("info", f"The Gateway allows {MAX_WORKERS} of the {MAX_WORKERS + 1} requested workers.")
        assert f"1 of {MAX_WORKERS} workers" in state.status_text
        state.workers = 2
        await visit.do("scale")
        await visit.until(lambda state: f"{name} · 2 workers, 4 threads, 2 GiB" in state.status_text)

        state.update(adaptive=True, max_workers=1)
        assert state.refusals == {"max_workers": "It must be a whole number from 2 to 64."}
        state.update(workers=1, max_workers=MAX_WORKERS + 1)
        await visit.do("scale")
        assert visit.notice == ("info", f"The Gateway allows {MAX_WORKERS} of the {MAX_WORKERS + 1} requested workers.")
        words = f"· 1 worker, 2 threads, 1 GiB, up to {MAX_WORKERS} workers as needed"
        await visit.until(lambda state: words in state.status_text)
        other = Visit(services)
        await other.choose(pooled.id)
        assert (other.state.workers, other.state.adaptive, other.state.max_workers) == (1, True, MAX_WORKERS)
        state.adaptive = False
        await visit.do("scale")
        assert (pooled.spec.workers, pooled.spec.most_workers) == (1, None)

        await visit.do("stop")
        assert visit.notice == ("info", f"{name} is stopped.")
        assert (state.choice, state.actions) == (NEW_CLUSTER, ["start"])
        assert await list_gateway_clusters(settings) == []

    run(settings, story)


def test_computing_on_a_new_cluster_starts_it_and_chooses_it(settings: Settings) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        assert visit.clusters.open_spec() is services.cluster
        await visit.choose(NEW_CLUSTER)
        spec = visit.clusters.open_spec()
        (pooled,) = services.clusters.clusters()
        assert pooled.spec is spec
        assert visit.state.choice == pooled.id
        assert visit.state.status == "starting"
        assert visit.clusters.open_spec() is spec

    run(settings, story)


@pytest.mark.parametrize(
    ("field_name", "value", "says"),
    [
        ("worker_threads", "3", "It must be a whole number at least 1 and at most 2."),
        ("worker_memory", "", "It must be a number at least 0.5 and at most 4."),
        ("fault", "both", "It must be one of none, scheduler, worker."),
        ("workers", None, "It must be a whole number from 1 to 64."),
        ("workers", 0, "It must be a whole number from 1 to 64."),
        ("workers", 65, "It must be a whole number from 1 to 64."),
    ],
)
def test_what_is_not_accepted_is_said_at_its_field_and_starts_nothing(
    settings: Settings, field_name: str, value: object, says: str
) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        await visit.choose(NEW_CLUSTER)
        if field_name == "workers":
            visit.state.workers = value
        else:
            visit.state.option_values = {field_name: value}
        assert visit.state.refusals == {field_name: says}
        await visit.do("start")
        assert visit.notice[0] == "error"
        with pytest.raises(InputError, match="A field of the new cluster"):
            visit.clusters.open_spec()
        assert services.clusters.clusters() == []
        assert await list_gateway_clusters(settings) == []

    run(settings, story)


def test_a_value_that_the_gateway_never_declared_is_not_passed_on(settings: Settings) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        await visit.start(image="evil/image", worker_threads="2")
        (pooled,) = services.clusters.clusters()
        assert dict(pooled.spec.options) == {"worker_threads": "2"}

    run(settings, story)


def test_a_choice_that_was_not_offered_is_not_taken(settings: Settings) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        async with running_elsewhere(settings) as name:
            for choice in ("gateway:12345678", f"gateway:{name.split()[-1]}", "0" * 8):
                visit.state.choice = choice
                assert visit.state.choice == OWN_CLUSTER

    run(settings, story)


def test_a_start_that_fails_says_why_and_can_be_tried_again(settings: Settings) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        await visit.choose(NEW_CLUSTER)
        visit.state.option_values = {"fault": "scheduler"}
        visit.state.param.trigger("start")
        await visit.until(lambda state: state.notice)
        assert visit.notice[0] == "error"
        assert visit.notice[1].startswith("The scheduler did not start within 2 s; the Gateway may be out of capacity")
        assert (visit.state.choice, visit.state.actions) == (NEW_CLUSTER, ["start"])
        assert visit.state.option_values == {"fault": "scheduler"}
        visit.clusters.poll()
        assert visit.notice[0] == "error", "a later look does not lose the sentence"

    run(settings.model_copy(update={"cluster_start_timeout_s": 2.0}), story)


def test_a_cluster_can_be_stopped_while_it_starts(settings: Settings) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        await visit.choose(NEW_CLUSTER)
        visit.state.param.trigger("start")
        await visit.until(lambda state: "Gateway is starting the scheduler" in state.status_text)
        assert visit.state.actions == ["stop"]
        await visit.do("stop")
        assert visit.notice[1].endswith("is stopped.")
        assert await list_gateway_clusters(settings) == []

    run(settings, story)


def test_a_gateway_that_is_away_is_one_sentence_and_the_own_cluster_stays(gateway_settings: Settings) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        await visit.choose(NEW_CLUSTER)
        assert visit.notice == (
            "error",
            "The Dask Gateway cannot be reached; check GREENUP_GATEWAY_ADDRESS and that it runs.",
        )
        await visit.do("start")
        await visit.until(lambda state: state.choice == NEW_CLUSTER and state.notice)
        assert "cannot be reached" in visit.notice[1]
        await visit.choose(OWN_CLUSTER)
        assert visit.notice == ("", "")
        assert visit.clusters.open_spec() is services.cluster

    run(gateway_settings.model_copy(update={"gateway_address": "http://127.0.0.1:9"}), story)


def test_without_a_gateway_there_is_only_the_own_cluster() -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        await visit.look()
        assert visit.state.choices == {"The server's cluster": OWN_CLUSTER}
        assert not visit.state.has_gateway
        visit.state.choice = NEW_CLUSTER
        assert visit.state.choice == OWN_CLUSTER

    run(Settings(_env_file=None, gateway_address=None), story)


# Clusters that run already, and those of others


def test_a_cluster_started_elsewhere_is_connected_to_left_and_stopped(settings: Settings) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        state = visit.state
        async with running_elsewhere(settings) as name:
            short = name.split()[-1]
            await visit.look()
            assert state.choices[name] == f"gateway:{short}"
            await visit.choose(f"gateway:{short}")
            assert (state.actions, state.status_text) == (["connect", "stop"], f"{name} · not connected")
            state.param.trigger("start")
            await visit.until(lambda state: state.status == "idle")
            assert state.actions == ["scale", "disconnect", "stop"]
            assert list(state.choices) == ["The server's cluster", name, "New Gateway cluster"]

            await visit.do("disconnect")
            assert visit.notice == ("info", f"{name} goes on without this page.")
            assert state.choice == OWN_CLUSTER
            assert [each.short_name for each in await list_gateway_clusters(settings)] == [short]

            await visit.look()
            await visit.choose(f"gateway:{short}")
            await visit.do("stop")
            assert state.stop_warning == "It was started elsewhere: whoever else uses it loses it."
            state.param.trigger("cancel_stop")
            assert state.stop_warning == ""
            await visit.do("stop")
            await visit.do("stop")
            assert visit.notice == ("info", f"{name} is stopped.")
            assert await list_gateway_clusters(settings) == []

    run(settings, story)


def test_all_visits_of_a_scope_share_its_clusters(settings: Settings) -> None:
    async def story(services: Services) -> None:
        first, second = Visit(services), Visit(services)
        await first.start()
        await second.until(lambda state: first.state.choice in state.choices.values())
        await second.choose(first.state.choice)
        assert second.state.status_text == first.state.status_text
        await second.choose(NEW_CLUSTER)
        second.state.param.trigger("start")
        await second.until(lambda state: state.choice == first.state.choice)
        name = first.state.status_text.split(" · ")[0]
        await first.do("stop")
        await second.until(lambda state: state.notice)
        assert second.notice == ("info", f"{name} is not there any more.")
        assert second.state.choice == NEW_CLUSTER

    run(settings, story)


def test_another_scope_neither_sees_nor_stops_a_cluster(settings: Settings) -> None:
    async def story(services: Services) -> None:
        ann = Visit(services, ANN)
        await ann.start()
        (pooled,) = services.held_clusters(ANN)
        for principal in (BOB, ANONYMOUS):
            other = Visit(services, principal)
            await other.look()
            assert set(other.state.choices.values()) == {OWN_CLUSTER, NEW_CLUSTER}
            other.state.choice = pooled.id
            assert other.state.choice == OWN_CLUSTER
            by_name = ClusterSpec(kind="gateway", name=pooled.short_name, owner=principal.scope)
            for spec in (pooled.spec, by_name, services.cluster):
                with pytest.raises(InputError, match="Only those who started a cluster can stop it"):
                    await services.stop_cluster(spec, principal)
        assert pooled.connection is not None
        assert len(await list_gateway_clusters(settings)) == 1

        bobs = Visit(services, BOB)
        await bobs.start()
        assert len(await list_gateway_clusters(settings)) == 2, "the same options in another scope are another cluster"
        await bobs.do("stop")
        ann.clusters.poll()
        assert ann.state.status == "idle"

    run(settings, story)


def test_nothing_shown_of_a_cluster_opens_its_dashboards(settings: Settings) -> None:
    async def story(services: Services) -> None:
        visit = Visit(services)
        await visit.start()
        await visit.look()
        (running,) = await list_gateway_clusters(settings)
        assert running.name not in repr(visit.state.param.values())
        assert running.name not in repr(services.clusters.clusters()[0])

    run(settings, story)
