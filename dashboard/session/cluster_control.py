"""Cluster control of a visit: start, scale, disconnect and stop the chosen cluster, and update its status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from compute.cluster import ClusterSpec, PooledCluster, RunningCluster
from compute.errors import GreenupError
from compute.jobs import Principal
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.session.cluster_form import VALIDATED, build_spec, find_refusals
from dashboard.session.cluster_text import (
    cluster_status,
    describe_cluster,
    disconnect_text,
    gateway_cluster_name,
    permitted_actions,
    stop_warning_text,
)
from dashboard.state import NEW_CLUSTER, OWN_CLUSTER, ClusterState

_RUNNING = "gateway:"
"""Prefix of the choice of a running Gateway cluster to which the visitor is not connected."""

Act = Callable[[], Awaitable[None]]


class ClusterController:
    """Carry out the visitor's actions on the cluster, and update its state.

    Parameters
    ----------
    state : ClusterState
        The cluster to compute on.
    services : Services
        Services of the server.
    tasks : BackgroundTasks
        Background tasks of the visit.
    principal : Principal
        The visitor, who owns the shown clusters.
    """

    def __init__(self, state: ClusterState, services: Services, tasks: BackgroundTasks, principal: Principal) -> None:
        self._state = state
        self._services = services
        self._tasks = tasks
        self._principal = principal
        self._running: list[RunningCluster] = []
        # The chosen cluster. It is kept after it has left the pool, because its error message is shown.
        self._chosen: PooledCluster | None = None
        self._sized: PooledCluster | None = None
        settings = services.settings
        limit = settings.max_workers
        workers = min(settings.workers, limit)
        state.update(workers=workers, max_workers=min(2 * workers, limit), workers_limit=limit)
        state.update(has_gateway=services.has_gateway)
        doings: dict[str, tuple[str, Act]] = {
            "start": ("", self._start),
            "scale": ("Scaling", self._scale),
            "disconnect": ("Disconnecting", self._disconnect),
            "stop": ("Stopping", self._stop),
        }
        for event, (busy, act) in doings.items():
            state.param.watch(partial(self._begin, busy, act), event)
        state.param.watch(lambda _: tasks.start(self._refresh), "refresh")
        state.param.watch(lambda _: state.update(stop_warning=""), "cancel_stop")
        state.param.watch(lambda event: self._set_keep_alive(warm=event.new), "keep_alive")
        state.param.watch(lambda *_: self._check(), VALIDATED)
        # After the watchers of the views: until then, a Select needs its previous value in the list.
        state.param.watch(lambda _: self._choice_changed(), "choice", precedence=1)
        # Immediately, so that the page starts with a status; the Gateway is queried later, on `refresh`.
        self.poll()

    def open_spec(self) -> ClusterSpec:
        """Return the cluster to compute on; open and choose it if it is not open yet.

        Raises
        ------
        InputError
            The number of workers or an option is not accepted, or the visitor has too many clusters open.
        """
        if self._state.choice == OWN_CLUSTER:
            return self._services.cluster
        if self._chosen is None:
            self._open()
        assert self._chosen is not None, "what is opened is chosen"
        return self._chosen.spec

    def poll(self) -> None:
        """Update status, actions and choices of the cluster."""
        self._follow()
        self._show_workers()
        state, pooled = self._state, self._shown()
        held = [] if pooled is None else self._services.jobs.held_by(pooled.spec)
        state.update(
            choices=self._choices(),
            actions=self._acts(),
            dashboard_url=self._dashboard(pooled),
            status_text=describe_cluster(pooled, self._name()),
            status=cluster_status(pooled, working=any(record.state == "running" for record in held)),
        )
        if pooled is not None and (sentence := pooled.error or pooled.notice):
            self._say("error", sentence)

    # Choices of a cluster

    def _held(self) -> dict[str, PooledCluster]:
        return {each.id: each for each in self._services.held_clusters(self._principal)}

    def _shown(self) -> PooledCluster | None:
        if self._state.choice != OWN_CLUSTER:
            return self._chosen
        own = self._services.cluster.identity
        return next((each for each in self._services.clusters.clusters() if each.spec.identity == own), None)

    def _choices(self) -> dict[str, str]:
        choices = {self._services.cluster_name: OWN_CLUSTER}
        if not self._state.has_gateway:
            return choices
        held = self._held()
        for each in held.values():
            name = gateway_cluster_name(each)
            choices[f"{name} ({each.id})" if name in choices else name] = each.id
        here = {each.short_name for each in held.values()}
        others = (each.short_name for each in self._running if each.short_name not in here)
        choices |= {f"Gateway cluster {name}": f"{_RUNNING}{name}" for name in others}
        choices["New Gateway cluster"] = NEW_CLUSTER
        return choices

    def _acts(self) -> list[str]:
        choice = self._state.choice
        return [] if choice == OWN_CLUSTER else permitted_actions(self._chosen, running=choice.startswith(_RUNNING))

    def _dashboard(self, pooled: PooledCluster | None) -> str:
        if pooled is None or self._services.dashboard_of(pooled, self._principal) is None:
            return ""
        return f"dask/{pooled.id}/status"

    def _name(self) -> str:
        """Return the name of the chosen cluster; empty for a new one."""
        choice = self._state.choice
        if choice in (OWN_CLUSTER, NEW_CLUSTER):
            return self._services.cluster_name if choice == OWN_CLUSTER else ""
        if self._chosen is not None:
            return gateway_cluster_name(self._chosen)
        return f"Gateway cluster {choice.removeprefix(_RUNNING)}"

    def _follow(self) -> None:
        """Replace a choice that no longer exists, and show the reason."""
        state, chosen = self._state, self._chosen
        if state.pending_action or state.choice in self._choices().values():
            return
        name = state.choice.removeprefix(_RUNNING)
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
        """Change the choice; the list contains both the old and the new one meanwhile."""
        state = self._state
        old = {name: value for name, value in state.choices.items() if value == state.choice}
        state.update(choices=self._choices() | old)
        state.update(choice=choice)

    def _choice_changed(self) -> None:
        state = self._state
        if state.choice not in self._choices().values():
            state.update(choice=OWN_CLUSTER)
            return
        self._chosen, self._sized = self._held().get(state.choice), None
        warm = self._chosen is not None and self._chosen.idle_policy.warm
        state.update(notice=None, stop_warning="", keep_alive=warm)
        if state.choice == NEW_CLUSTER and not state.options:
            state.param.trigger("refresh")
        self.poll()

    def _show_workers(self) -> None:
        """Fill in the number of workers of the chosen cluster once it is connected."""
        chosen = self._chosen
        if chosen is None or chosen.connection is None or chosen is self._sized:
            return
        self._sized = chosen
        workers, most = chosen.spec.workers or chosen.connection.workers, chosen.spec.most_workers
        self._state.update(workers=workers, adaptive=most is not None)
        if most is not None:
            self._state.update(max_workers=most)

    # Specification of a cluster

    def _check(self) -> None:
        self._state.update(refusals=find_refusals(self._state))

    def _wanted(self) -> ClusterSpec:
        """Return the specification of the chosen cluster, or of a new one from the form."""
        state, owner = self._state, self._principal.scope
        if state.choice.startswith(_RUNNING):
            return ClusterSpec(kind="gateway", name=state.choice.removeprefix(_RUNNING), owner=owner)
        return build_spec(state, owner)

    # Actions of the visitor

    def _begin(self, busy: str, act: Act, _: Any) -> None:
        if not self._state.pending_action:
            self._tasks.start(partial(self._do, busy, act))

    async def _do(self, busy: str, act: Act) -> None:
        with self._reporting(busy):
            await act()

    @contextmanager
    def _reporting(self, busy: str) -> Iterator[None]:
        self._state.update(pending_action=busy, notice=None)
        try:
            yield
        except GreenupError as error:
            self._say("error", str(error))
        finally:
            self._state.update(pending_action="")
            self.poll()

    def _say(self, kind: str, text: str) -> None:
        self._state.update(notice={"kind": kind, "text": text})

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
        if state.adaptive and state.max_workers is not None:
            wanted = state.max_workers
            allowed = await clusters.adapt(chosen.spec, least, wanted)
        else:
            wanted = least
            allowed = await clusters.scale(chosen.spec, wanted)
        if allowed < wanted:
            state.update(workers=min(least, allowed), max_workers=max(allowed, 1))
            self._say("info", f"The Gateway allows {allowed} of the {wanted} requested workers.")

    async def _disconnect(self) -> None:
        chosen = self._chosen
        if chosen is None or not chosen.spec.name:
            return
        text = disconnect_text(gateway_cluster_name(chosen), self._services.jobs.held_by(chosen.spec))
        await self._services.clusters.stop(chosen.spec)
        self._choose(OWN_CLUSTER)
        self._say("info", text)

    def _set_keep_alive(self, *, warm: bool) -> None:
        if self._chosen is not None:
            self._services.clusters.set_warm(self._chosen.spec, warm=warm)
            self.poll()

    async def _stop(self) -> None:
        state, chosen, name = self._state, self._chosen, self._name()
        if state.choice in (OWN_CLUSTER, NEW_CLUSTER):
            return
        spec = self._wanted() if chosen is None else chosen.spec
        question = stop_warning_text(self._services.jobs.held_by(spec), elsewhere=bool(spec.name))
        if question and not state.stop_warning:
            state.update(stop_warning=question)
            return
        state.update(stop_warning="")
        await self._services.stop_cluster(spec, self._principal)
        self._running = [each for each in self._running if each.short_name != spec.name]
        self._choose(NEW_CLUSTER)
        self._say("info", f"{name} is stopped.")

    async def _refresh(self) -> None:
        if self._state.refreshing or not self._state.has_gateway:
            return
        self._state.update(refreshing=True)
        try:
            self._running = await self._services.running_clusters(self._principal)
            self._state.update(options=await self._services.cluster_options())
        except GreenupError as error:
            self._say("error", str(error))
        finally:
            self._state.update(refreshing=False)
            self.poll()
