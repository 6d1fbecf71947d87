"""Cluster control of a visit: start, scale, leave and stop the chosen cluster, and report its state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from compute.cluster import ClusterSpec, PooledCluster, RunningCluster
from compute.errors import GreenupError
from compute.jobs import Principal
from dashboard.services import Services
from dashboard.session.background_tasks import Tasks
from dashboard.session.cluster_form import CHECKED, new_cluster, refusals_of
from dashboard.session.cluster_text import acts, doing, held_name, left_text, losses, stage_text
from dashboard.state import NEW_CLUSTER, OWN_CLUSTER, VisitState

_RUNNING = "gateway:"
"""Begins the choice of a cluster that runs at the Gateway and to which nobody here is connected."""

Act = Callable[[], Awaitable[None]]


class Clusters:
    """Keeps the cluster state in step with the pool, and carries out the visitor's actions.

    Parameters
    ----------
    state : VisitState
        The state of the visit.
    services : Services
        With the clusters of the server.
    tasks : Tasks
        Background work of the visit.
    principal : Principal
        Whose clusters are shown.
    """

    def __init__(self, state: VisitState, services: Services, tasks: Tasks, principal: Principal) -> None:
        self._state = state
        self._services = services
        self._tasks = tasks
        self._principal = principal
        self._running: list[RunningCluster] = []
        # What is chosen, also after it has left the pool: it knows why.
        self._chosen: PooledCluster | None = None
        self._sized: PooledCluster | None = None
        settings = services.settings
        limit = settings.max_workers
        workers = min(settings.workers, limit)
        state.show(workers=workers, workers_most=min(2 * workers, limit), workers_limit=limit)
        state.show(cluster_offered=services.has_gateway)
        doings: dict[str, tuple[str, Act]] = {
            "cluster_start": ("", self._start),
            "cluster_scale": ("Scaling", self._scale),
            "cluster_leave": ("Leaving", self._leave),
            "cluster_stop": ("Stopping", self._stop),
        }
        for event, (busy, act) in doings.items():
            state.param.watch(partial(self._begin, busy, act), event)
        state.param.watch(lambda _: tasks.start(self._refresh), "cluster_refresh")
        state.param.watch(lambda _: state.show(cluster_question=""), "cluster_keep")
        state.param.watch(lambda event: self._keep_warm(warm=event.new), "cluster_warm")
        state.param.watch(lambda *_: self._check(), CHECKED)
        # After the views have followed: they hold to what was chosen until the list is without it.
        state.param.watch(lambda _: self._choice_changed(), "cluster", precedence=1)
        # At once, so that the page begins with it; the Gateway is asked when the visitor wants something of it.
        self.poll()

    def spec(self) -> ClusterSpec:
        """Return the cluster to compute on; one that is not open yet begins to start, and is chosen.

        Raises
        ------
        InputError
            The number of workers or a cluster option is not accepted.
        """
        if self._state.cluster == OWN_CLUSTER:
            return self._services.cluster
        if self._chosen is None:
            self._open()
        assert self._chosen is not None, "what is opened is chosen"
        return self._chosen.spec

    def poll(self) -> None:
        """Show how the chosen cluster does."""
        self._follow()
        self._show_workers()
        state, pooled = self._state, self._shown()
        held = [] if pooled is None else self._services.jobs.held_by(pooled.spec)
        state.show(
            clusters=self._choices(),
            cluster_acts=self._acts(),
            cluster_dashboard=self._dashboard(pooled),
            cluster_stage=stage_text(pooled, self._name()),
            cluster_state=doing(pooled, working=any(record.state == "running" for record in held)),
        )
        if pooled is not None and (sentence := pooled.error or pooled.notice):
            self._say("error", sentence)

    # What there is to choose from

    def _held(self) -> dict[str, PooledCluster]:
        return {each.id: each for each in self._services.held_clusters(self._principal)}

    def _shown(self) -> PooledCluster | None:
        if self._state.cluster != OWN_CLUSTER:
            return self._chosen
        own = self._services.cluster.identity
        return next((each for each in self._services.clusters.clusters() if each.spec.identity == own), None)

    def _choices(self) -> dict[str, str]:
        choices = {self._services.cluster_name: OWN_CLUSTER}
        if not self._state.cluster_offered:
            return choices
        held = self._held()
        for each in held.values():
            name = held_name(each)
            choices[f"{name} ({each.id})" if name in choices else name] = each.id
        here = {each.short_name for each in held.values()}
        others = (each.short_name for each in self._running if each.short_name not in here)
        choices |= {f"Gateway cluster {name}": f"{_RUNNING}{name}" for name in others}
        choices["New Gateway cluster"] = NEW_CLUSTER
        return choices

    def _acts(self) -> list[str]:
        choice = self._state.cluster
        return [] if choice == OWN_CLUSTER else acts(self._chosen, running=choice.startswith(_RUNNING))

    def _dashboard(self, pooled: PooledCluster | None) -> str:
        if pooled is None or self._services.dashboard_of(pooled, self._principal) is None:
            return ""
        return f"dask/{pooled.id}/status"

    def _name(self) -> str:
        """Return what the choice is called."""
        choice = self._state.cluster
        if choice in (OWN_CLUSTER, NEW_CLUSTER):
            return self._services.cluster_name if choice == OWN_CLUSTER else ""
        return f"Gateway cluster {choice.removeprefix(_RUNNING)}" if self._chosen is None else held_name(self._chosen)

    def _follow(self) -> None:
        """Leave a choice that is no more, and say why."""
        state, chosen = self._state, self._chosen
        if state.cluster_busy or state.cluster in self._choices().values():
            return
        name = state.cluster.removeprefix(_RUNNING)
        connected = [each for each in self._held().values() if each.short_name == name]
        if connected:
            self._choose(connected[0].id)
            return
        gone = self._name()
        self._choose(NEW_CLUSTER)
        if chosen and chosen.error:
            self._say("error", chosen.error)
        else:
            self._say("info", (chosen.notice if chosen else "") or f"{gone} is not there any more.")

    def _choose(self, choice: str) -> None:
        """Change the choice; the list has the old one and the new one meanwhile."""
        state = self._state
        old = {name: value for name, value in state.clusters.items() if value == state.cluster}
        state.show(clusters=self._choices() | old)
        state.show(cluster=choice)

    def _choice_changed(self) -> None:
        state = self._state
        if state.cluster not in self._choices().values():
            state.show(cluster=OWN_CLUSTER)
            return
        self._chosen, self._sized = self._held().get(state.cluster), None
        warm = self._chosen is not None and self._chosen.need.warm
        state.show(cluster_notice=None, cluster_question="", cluster_warm=warm)
        if state.cluster == NEW_CLUSTER and not state.cluster_options:
            state.param.trigger("cluster_refresh")
        self.poll()

    def _show_workers(self) -> None:
        """Begin with the workers that a cluster has, once there is one to scale."""
        chosen = self._chosen
        if chosen is None or chosen.connection is None or chosen is self._sized:
            return
        self._sized = chosen
        workers, most = chosen.spec.workers or chosen.connection.workers, chosen.spec.most_workers
        self._state.show(workers=workers, workers_follow=most is not None)
        if most is not None:
            self._state.show(workers_most=most)

    # What is asked of a new cluster

    def _check(self) -> None:
        self._state.show(cluster_refusals=refusals_of(self._state))

    def _wanted(self) -> ClusterSpec:
        """Return the cluster that the form describes."""
        state, owner = self._state, self._principal.scope
        if state.cluster.startswith(_RUNNING):
            return ClusterSpec(kind="gateway", name=state.cluster.removeprefix(_RUNNING), owner=owner)
        return new_cluster(state, owner)

    # What the visitor does

    def _begin(self, busy: str, act: Act, _: Any) -> None:
        if not self._state.cluster_busy:
            self._tasks.start(partial(self._do, busy, act))

    async def _do(self, busy: str, act: Act) -> None:
        with self._reporting(busy):
            await act()

    @contextmanager
    def _reporting(self, busy: str) -> Iterator[None]:
        self._state.show(cluster_busy=busy, cluster_notice=None)
        try:
            yield
        except GreenupError as error:
            self._say("error", str(error))
        finally:
            self._state.show(cluster_busy="")
            self.poll()

    def _say(self, kind: str, text: str) -> None:
        self._state.show(cluster_notice={"kind": kind, "text": text})

    async def _start(self) -> None:
        self._open()

    def _open(self) -> None:
        pooled = self._services.clusters.open(self._wanted())
        self._choose(pooled.id)

    async def _scale(self) -> None:
        state, chosen = self._state, self._chosen
        if chosen is None or state.workers is None:
            return
        clusters, least = self._services.clusters, state.workers
        if state.workers_follow and state.workers_most is not None:
            wanted = state.workers_most
            allowed = await clusters.adapt(chosen.spec, least, wanted)
        else:
            wanted = least
            allowed = await clusters.scale(chosen.spec, wanted)
        if allowed < wanted:
            state.show(workers=min(least, allowed), workers_most=max(allowed, 1))
            self._say("info", f"The Gateway allows {allowed} of the {wanted} workers asked for.")

    async def _leave(self) -> None:
        chosen = self._chosen
        if chosen is None or not chosen.spec.name:
            return
        text = left_text(held_name(chosen), self._services.jobs.held_by(chosen.spec))
        await self._services.clusters.stop(chosen.spec)
        self._choose(OWN_CLUSTER)
        self._say("info", text)

    def _keep_warm(self, *, warm: bool) -> None:
        if self._chosen is not None:
            self._services.clusters.keep_warm(self._chosen.spec, warm=warm)
            self.poll()

    async def _stop(self) -> None:
        state, chosen, name = self._state, self._chosen, self._name()
        if state.cluster in (OWN_CLUSTER, NEW_CLUSTER):
            return
        spec = self._wanted() if chosen is None else chosen.spec
        question = losses(self._services.jobs.held_by(spec), elsewhere=bool(spec.name))
        if question and not state.cluster_question:
            state.show(cluster_question=question)
            return
        state.show(cluster_question="")
        await self._services.stop_cluster(spec, self._principal)
        self._running = [each for each in self._running if each.short_name != spec.name]
        self._choose(NEW_CLUSTER)
        self._say("info", f"{name} is stopped.")

    async def _refresh(self) -> None:
        if self._state.cluster_asking or not self._state.cluster_offered:
            return
        self._state.show(cluster_asking=True)
        try:
            self._running = await self._services.running_clusters(self._principal)
            self._state.show(cluster_options=await self._services.cluster_options())
        except GreenupError as error:
            self._say("error", str(error))
        finally:
            self._state.show(cluster_asking=False)
            self.poll()
