"""Cluster startup, step by step, for every kind of cluster."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from distributed.comm.addressing import parse_address, parse_host_port

from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.connection import Connection, WarmUp, connect
from compute.cluster.gateway import gateway_scheduler
from compute.cluster.gateway_answers import require_gateway
from compute.cluster.local_cluster import local_scheduler
from compute.cluster.scheduler_endpoint import Endpoint
from compute.cluster.startup_progress import OnStage, Stages
from compute.cluster.version_check import check_versions
from compute.errors import ClusterError, InputError
from compute.settings import Settings

# Workers of one node arrive together, those of a node that has to boot minutes later: by then work can be under way.
_GRACE_S = 20.0
_POLL_S = 0.25
# Importing the engine takes some ten seconds on a cold node.
_WARM_UP_S = 120.0
_LISTENS_S = 3.0


@asynccontextmanager
async def open_cluster(
    spec: ClusterSpec,
    settings: Settings,
    *,
    on_stage: OnStage | None = None,
    warm_up: WarmUp | None = None,
    resume: str = "",
) -> AsyncIterator[Connection]:
    """Open a cluster; what is started here is stopped when the body ends, fails or is cancelled.

    Parameters
    ----------
    spec : ClusterSpec
        What to open. A Gateway cluster that is named, and a scheduler that ran before, are left running.
    settings : Settings
        Numbers of workers, longest wait, address of the Gateway.
    on_stage : callable, optional
        Called with each `Stage`, on the event loop.
    warm_up : callable, optional
        Module-level function without arguments, run once on every worker before the first task.
    resume : str
        Short name of a Gateway cluster that was started for this `spec` before: it is opened in place of a new one, and
        stopped at the end like one.

    Yields
    ------
    Connection
        With at least one worker, whose software fits. Workers that take their time join later.

    Raises
    ------
    InputError
        The request cannot be fulfilled anywhere; nothing was started.
    ClusterError
        The cluster cannot be reached, did not start in time, or runs other software; nothing half-started is left.
    """
    check_cluster(spec, settings)
    stages = Stages(on_stage)
    stages.report("connecting", f"The {_WORDS[spec.kind]} is contacted.")
    async with (
        _scheduler(spec, settings, stages, resume) as endpoint,
        connect(endpoint, spec, settings) as connection,
    ):
        await _start_workers(connection, endpoint, settings, stages)
        if spec.most_workers:
            await connection.adapt(spec.workers or 1, spec.most_workers)
        stages.report("checking versions", "The software of the cluster is compared.")
        connection.version_notes = await check_versions(connection.client)
        if warm_up:
            stages.report("warming up", "The workers load the engine.")
            await connection.warm_up(warm_up, _WARM_UP_S)
        stages.report("ready", f"The {connection.name} is ready.", done=connection.workers, total=connection.workers)
        yield connection


def check_cluster(spec: ClusterSpec, settings: Settings) -> None:
    """Refuse a cluster that no attempt could open, before anything is started.

    Parameters
    ----------
    spec : ClusterSpec
        What is asked for.
    settings : Settings
        Most workers of one cluster, and the Gateway.

    Raises
    ------
    InputError
        It has too many workers, or no Gateway is configured.
    """
    most = max(spec.workers or 0, spec.most_workers or 0)
    if most > settings.max_workers:
        raise InputError("workers", f"At most {settings.max_workers} workers may be asked for, not {most}.")
    if spec.kind == "gateway":
        require_gateway(settings)


_WORDS = {"local": "local scheduler", "gateway": "Dask Gateway", "tcp": "scheduler"}


def _scheduler(
    spec: ClusterSpec, settings: Settings, stages: Stages, resume: str
) -> AbstractAsyncContextManager[Endpoint]:
    if spec.kind == "local":
        return local_scheduler(spec, settings)
    if spec.kind == "gateway":
        return gateway_scheduler(spec, settings, stages, resume)
    return _existing_scheduler(spec)


@asynccontextmanager
async def _existing_scheduler(spec: ClusterSpec) -> AsyncIterator[Endpoint]:
    assert spec.address is not None
    # Its workers may live where only the scheduler reaches them, so results come through the scheduler.
    name = f"scheduler {spec.address.removeprefix('tcp://')}"
    yield Endpoint(address=spec.address, name=name, gone=partial(_is_refused, spec.address))


async def _is_refused(address: str) -> bool:
    """Tell whether the host answers that nothing listens there; one that is slow or away gives no answer."""
    host, port = parse_host_port(parse_address(address)[1])
    try:
        async with asyncio.timeout(_LISTENS_S):
            places = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return all([await _refuses(*place[:2]) for *_, place in places])
    except OSError:
        return False


async def _refuses(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def _start_workers(connection: Connection, endpoint: Endpoint, settings: Settings, stages: Stages) -> None:
    """Ask for the workers that are missing, and wait for them."""
    wanted = connection.spec.workers or connection.workers or endpoint.workers
    # Never down: the other users of a cluster that is shared by name count on its workers.
    if endpoint.scale and wanted > connection.workers:
        allowed = await endpoint.scale(wanted)
        if allowed < wanted:
            stages.report("starting workers", f"The Gateway allows {allowed} of the {wanted} workers asked for.")
        wanted = allowed
    await _await_workers(connection, wanted, settings.cluster_start_timeout_s, stages)


async def _await_workers(connection: Connection, wanted: int, timeout_s: float, stages: Stages) -> None:
    """Wait for all workers; once there is one, only as long as others keep coming."""
    began = newest = time.monotonic()
    most = 0
    while (ready := await connection.ready(wanted, _POLL_S)) < wanted:
        stages.report("starting workers", _progress(ready, wanted), done=ready, total=wanted)
        now = time.monotonic()
        if ready > most:
            most, newest = ready, now
        if ready and now - newest > _GRACE_S:
            return
        if now - began > timeout_s:
            raise ClusterError(
                f"{ready} of {wanted} workers started within {timeout_s:g} s; the cluster may be out of room, "
                "so ask for fewer or smaller workers, or try again later."
            )
    stages.report("starting workers", _progress(ready, wanted), done=ready, total=wanted)


def _progress(ready: int, wanted: int) -> str:
    return f"{ready} of {wanted} workers are ready."
