"""Cluster startup in stages, for all kinds of clusters."""

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

# Workers of one node join together; those of a node that must boot first join minutes later, during the computation.
_GRACE_S = 20.0
_POLL_S = 0.25
# Importing the engine takes about ten seconds on a cold node.
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
    """Open a cluster for the duration of the body; a cluster that was started here is stopped in any case.

    Parameters
    ----------
    spec : ClusterSpec
        Cluster to open. Gateway clusters opened by name and existing schedulers are not stopped.
    settings : Settings
        Default and maximum number of workers, time limits, and address of the Gateway.
    on_stage : callable, optional
        Called on the event loop with each `Stage`.
    warm_up : callable, optional
        Module-level function without arguments, run once on every worker before the first task.
    resume : str, default: ""
        Short name of a Gateway cluster that was started for `spec` before; it is used instead of a new one, and stopped
        at the end.

    Yields
    ------
    Connection
        Connection with at least one worker and compatible software; further workers may join later.

    Raises
    ------
    InputError
        The specification is invalid; no cluster was started.
    ClusterError
        The cluster cannot be reached, did not start in time, runs incompatible software, or could not be stopped.
    """
    check_cluster(spec, settings)
    stages = Stages(on_stage)
    stages.report("connecting", f"Connecting to the {_WORDS[spec.kind]}.")
    async with (
        _scheduler(spec, settings, stages, resume) as endpoint,
        connect(endpoint, spec, settings) as connection,
    ):
        await _start_workers(connection, endpoint, settings, stages)
        if spec.most_workers:
            await connection.adapt(spec.workers or 1, spec.most_workers)
        stages.report("checking versions", "Comparing software versions.")
        connection.version_notes = await check_versions(connection.client)
        if warm_up:
            stages.report("warming up", "Loading the engine on the workers.")
            await connection.warm_up(warm_up, _WARM_UP_S)
        stages.report("ready", f"The {connection.name} is ready.", done=connection.workers, total=connection.workers)
        yield connection


def check_cluster(spec: ClusterSpec, settings: Settings) -> None:
    """Check a specification before a cluster is started.

    Parameters
    ----------
    spec : ClusterSpec
        Cluster to open.
    settings : Settings
        Settings with the maximum number of workers and the Gateway's address.

    Raises
    ------
    InputError
        `spec` has too many workers, or no Gateway is configured.
    """
    most = max(spec.workers or 0, spec.most_workers or 0)
    if most > settings.max_workers:
        raise InputError("workers", f"At most {settings.max_workers} workers may be requested, not {most}.")
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
    # Not `direct`, because the workers may be reachable from the scheduler only.
    name = f"scheduler {spec.address.removeprefix('tcp://')}"
    yield Endpoint(address=spec.address, name=name, gone=partial(_is_refused, spec.address))


async def _is_refused(address: str) -> bool:
    """Return whether the host refuses connections at the address; a slow or unreachable host counts as running."""
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
    """Request the missing workers, and wait for them."""
    wanted = connection.spec.workers or connection.workers or endpoint.workers
    # Never scaled down, because a cluster opened by name may have other users.
    if endpoint.scale and wanted > connection.workers:
        allowed = await endpoint.scale(wanted)
        if allowed < wanted:
            stages.report("starting workers", f"The Gateway allows {allowed} of the {wanted} requested workers.")
        wanted = allowed
    await _await_workers(connection, wanted, settings.cluster_start_timeout_s, stages)


async def _await_workers(connection: Connection, wanted: int, timeout_s: float, stages: Stages) -> None:
    """Wait for all workers, or until no further worker has joined for `_GRACE_S` seconds after the first."""
    began = newest = time.monotonic()
    most = 0
    while (ready := await connection.count_workers(wanted, _POLL_S)) < wanted:
        stages.report("starting workers", _progress(ready, wanted), done=ready, total=wanted)
        now = time.monotonic()
        if ready > most:
            most, newest = ready, now
        if ready and now - newest > _GRACE_S:
            return
        if now - began > timeout_s:
            raise ClusterError(
                f"{ready} of {wanted} workers started within {timeout_s:g} s; the cluster may be out of capacity, "
                "so ask for fewer or smaller workers, or try again later."
            )
    stages.report("starting workers", _progress(ready, wanted), done=ready, total=wanted)


def _progress(ready: int, wanted: int) -> str:
    return f"{ready} of {wanted} workers are ready."
