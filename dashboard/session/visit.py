"""One visit: its state, and what keeps it in step with the services."""

from __future__ import annotations

import secrets

from compute.jobs import Principal
from dashboard.panel_workarounds.message_flush import Pulse
from dashboard.services import Services
from dashboard.session.background_tasks import Tasks
from dashboard.session.cluster_control import Clusters
from dashboard.session.estimation import Asking
from dashboard.session.job_view import Refresh, Watching
from dashboard.session.result_details import Looking
from dashboard.state import VisitState


class Session:
    """One visit: watches its state, asks the services, writes the answers back.

    Parameters
    ----------
    state : VisitState
        The state of the visit.
    services : Services
        Shared by all visits.
    principal : Principal
        Who visits.
    refresh : callable
        Told the boxes (west, south, east, north in degrees) whose pixels have changed.
    """

    def __init__(self, state: VisitState, services: Services, principal: Principal, refresh: Refresh) -> None:
        self.state = state
        # Until the browser says which it is, the visit is a participant of its own.
        state.show(visitor=secrets.token_hex(16))
        self._tasks = Tasks(state)
        self._asking = Asking(state, services, self._tasks, principal)
        self._clusters = Clusters(state, services, self._tasks, principal)
        self._looking = Looking(state, services, self._tasks, principal)
        self._watching = Watching(state, services, self._tasks, principal, refresh)
        self._pulse = Pulse(state)
        state.param.watch(lambda _: self._tasks.start(self._submit), "compute")
        state.param.watch(lambda _: state.show(notice=""), "dismiss")

    async def begin(self) -> None:
        """Fill in what the visitor can choose from, and what is going on."""
        await self._asking.begin()
        self.poll()

    def end(self) -> None:
        """Stop what this visit alone was waiting for; jobs go on."""
        self._tasks.end()
        self._watching.end()

    def poll(self) -> None:
        """Bring the state up to date with cluster and job; called a few times a second."""
        self._pulse.beat()
        self._clusters.poll()
        self._watching.poll()

    async def _submit(self) -> None:
        if self._asking.plan is not None and not self.state.reason_not_to_compute:
            await self._watching.submit(self._asking.plan, self._clusters.spec())
