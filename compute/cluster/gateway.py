"""Clusters of a Dask Gateway: listing, starting, scaling and stopping.

Uses the plain requests of `dask_gateway.Gateway` (2026.3) instead of `GatewayCluster`, which has no time limits, does
not report the progress of a start, and loses a cluster whose start is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

import aiohttp
from dask_gateway import Gateway, GatewayClusterError, GatewayServerError

from compute.cluster.bounded_waits import finish_despite_cancel
from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.gateway_answers import CLUSTER_GONE, call_gateway, open_gateway
from compute.cluster.offered_options import ClusterOption, apply_choices, apply_configured_defaults, describe_options
from compute.cluster.scheduler_endpoint import Endpoint
from compute.cluster.startup_progress import Stages
from compute.errors import ClusterError
from compute.settings import Settings

_LISTENS_S = 3.0
_POLL_S = 0.25
_LIMIT = re.compile(r"limit of (\d+) workers")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunningCluster:
    """Cluster of the user at the Gateway.

    Attributes
    ----------
    name : str
        Full name; it grants access to the cluster's dashboards without a login, so it must not appear in logs or on
        pages.
    short_name : str
        Display name; ``--cluster gateway:SHORT_NAME`` selects the cluster.
    status : str
        ``"pending"`` or ``"running"``.
    started : datetime.datetime
        Time of the request, UTC.
    """

    name: str = field(repr=False)
    short_name: str
    status: str
    started: datetime


def short_name(name: str) -> str:
    """Return the display name of a cluster from its full name; unlike the latter, it grants no access to dashboards."""
    # Gateways on Kubernetes prefix the namespace and a dot; the random part identifies the cluster.
    return name.rpartition(".")[2][:8]


async def list_gateway_clusters(settings: Settings) -> list[RunningCluster]:
    """List the user's clusters that are starting or running.

    Raises
    ------
    InputError
        No Gateway is configured.
    ClusterError
        The Gateway cannot be reached, or refuses the login.
    """
    async with open_gateway(settings) as gateway:
        reports = await call_gateway(gateway.list_clusters())
    return [
        RunningCluster(
            name=report.name,
            short_name=short_name(report.name),
            status=report.status.name.lower(),
            started=report.start_time.astimezone(UTC),
        )
        for report in reports
    ]


async def gateway_options(settings: Settings) -> list[ClusterOption]:
    """List the options that the Gateway offers for new clusters.

    Raises
    ------
    InputError
        No Gateway is configured.
    ClusterError
        The Gateway cannot be reached, or refuses the login or the configured defaults.
    """
    async with open_gateway(settings) as gateway:
        return describe_options(await _fetch_options(gateway))


async def stop_gateway_cluster(settings: Settings, name: str) -> None:
    """Stop a cluster, whether or not it is in use.

    Parameters
    ----------
    settings : Settings
        Settings with the Gateway's address.
    name : str
        Full or short name.

    Raises
    ------
    InputError
        No Gateway is configured.
    ClusterError
        No such cluster runs, or the Gateway cannot be reached.
    """
    async with open_gateway(settings) as gateway:
        await call_gateway(gateway.stop_cluster(await _find_cluster(gateway, name)), CLUSTER_GONE)


@asynccontextmanager
async def gateway_scheduler(
    spec: ClusterSpec, settings: Settings, stages: Stages, resume: str = ""
) -> AsyncIterator[Endpoint]:
    """Start a cluster or find an existing one; at the end of the body, stop it unless `spec` names it.

    Parameters
    ----------
    spec : ClusterSpec
        Specification of kind ``"gateway"``.
    settings : Settings
        Settings with the Gateway's address and the time limit for starting a scheduler.
    stages : Stages
        Receives the progress.
    resume : str, default: ""
        Short name of a cluster that was started for `spec` before, and is used instead of a new one.

    Yields
    ------
    Endpoint
        Endpoint of the running scheduler, with any number of workers.

    Raises
    ------
    InputError
        A cluster option is unknown or has an invalid value; nothing was started.
    ClusterError
        The Gateway cannot be reached, the scheduler did not start, or the Gateway did not stop the cluster at the end.
    """
    async with open_gateway(settings) as gateway:
        if spec.name:
            name = await _find_cluster(gateway, spec.name)
            stages.cluster = short_name(name)
            yield await _wait_for_scheduler(gateway, name, settings, stages)
            return
        async with _owned_cluster(gateway, await _request_cluster(gateway, spec, stages, resume)) as name:
            stages.cluster = short_name(name)
            stages.report("starting scheduler", "The Gateway is starting the scheduler.")
            yield await _wait_for_scheduler(gateway, name, settings, stages)


async def _fetch_options(gateway: Gateway) -> Any:
    return apply_configured_defaults(await call_gateway(gateway.cluster_options(use_local_defaults=False)))


async def _find_cluster(gateway: Gateway, wanted: str) -> str:
    names = [report.name for report in await call_gateway(gateway.list_clusters())]
    matches = [name for name in names if wanted in (name, short_name(name))]
    if len(matches) == 1:
        return str(matches[0])
    running = ", ".join(map(short_name, names)) or "none"
    raise ClusterError(f"No cluster of that name runs at the Gateway; running: {running}.")


async def _request_cluster(gateway: Gateway, spec: ClusterSpec, stages: Stages, resume: str) -> Awaitable[str]:
    """Return an awaitable of a cluster's name; awaiting it starts the cluster."""
    if resume:
        return _find_cluster(gateway, resume)
    options = apply_choices(await _fetch_options(gateway), spec.options)
    stages.report("starting scheduler", "Requesting a cluster from the Gateway.")
    return call_gateway(gateway.submit(options), "The Dask Gateway did not start a cluster: {}.")


@asynccontextmanager
async def _owned_cluster(gateway: Gateway, named: Awaitable[str]) -> AsyncIterator[str]:
    """Await and yield the name of a cluster, and stop the cluster at the end of the body."""
    submission = asyncio.ensure_future(named)
    failed = False
    try:
        yield await finish_despite_cancel(submission)
    except Exception:
        failed = True
        raise
    finally:
        # Also if cancelled before the name is known, because the Gateway may have started a cluster.
        if submission.done() and not submission.cancelled() and submission.exception() is None:
            await finish_despite_cancel(_stop(gateway, submission.result(), quietly=failed))


async def _stop(gateway: Gateway, name: str, *, quietly: bool) -> None:
    """Stop a cluster; a failure is logged, and also raised unless `quietly` is true (for use after another error)."""
    try:
        await call_gateway(gateway.stop_cluster(name), CLUSTER_GONE)
    except ClusterError as error:
        reason = str(error)
        message = f"Gateway cluster {short_name(name)} was not stopped and may still cost money: {reason}"
        _log.warning(message)
        if not quietly:
            raise ClusterError(message) from None


async def _wait_for_scheduler(gateway: Gateway, name: str, settings: Settings, stages: Stages) -> Endpoint:
    """Wait until the scheduler runs, and return its endpoint."""
    report = await call_gateway(gateway.get_cluster(name), CLUSTER_GONE)
    while report.status.name == "PENDING":
        if stages.seconds > settings.cluster_start_timeout_s:
            raise ClusterError(
                f"The scheduler did not start within {settings.cluster_start_timeout_s:g} s; the Gateway may be out "
                "of capacity, so try again later or ask its administrator."
            )
        stages.report("starting scheduler", "The Gateway is starting the scheduler.")
        await asyncio.sleep(_POLL_S)
        report = await call_gateway(gateway.get_cluster(name), CLUSTER_GONE)
    if report.status.name != "RUNNING":
        raise ClusterError("The Gateway could not start the scheduler; ask its administrator to check its log.")
    return Endpoint(
        address=report.scheduler_address,
        name=f"Gateway cluster {short_name(name)}",
        security=report.security,
        scale=partial(_scale, gateway, name),
        adapt=partial(_adapt, gateway, name),
        workers=settings.workers,
        gone=partial(_is_gone, gateway, name),
        expected=_expected_workers,
        dashboard=lambda: f"{gateway.address}/clusters/{name}",
    )


async def _scale(gateway: Gateway, name: str, n: int) -> int:
    """Request `n` workers, and return the number that the Gateway allows."""
    return await _resize(gateway, name, "scale", {"count": n}) or n


async def _adapt(gateway: Gateway, name: str, least: int, most: int) -> int:
    """Start adaptive scaling, and return the maximum number of workers that the Gateway allows."""
    return await _resize(gateway, name, "adapt", {"minimum": least, "maximum": most}) or most


async def _resize(gateway: Gateway, name: str, act: str, numbers: dict[str, int]) -> int:
    """Send a scaling request, and return the maximum number of workers that the Gateway reported; 0 if unlimited."""
    # dask-gateway 2026.3: `Gateway.scale_cluster` reports the limit as a warning, which is global to the process.
    request = gateway._request("POST", f"{gateway.address}/api/v1/clusters/{name}/{act}", json=numbers)
    answer = await call_gateway((await call_gateway(request, CLUSTER_GONE)).json())
    limit = _LIMIT.search(answer.get("msg") or "")
    return int(limit[1]) if limit else 0


async def _expected_workers(client: Any) -> int:
    """Return the number of workers requested from a Gateway cluster, fixed or adaptive."""
    return int(await client.run_on_scheduler(_count_requested_workers))


def _count_requested_workers(dask_scheduler: Any) -> int:
    # dask-gateway 2026.3 has no client call for this number; it is an attribute of the scheduler plugin's service.
    services = (getattr(plugin, "service", None) for plugin in dask_scheduler.plugins.values())
    return max((int(getattr(service, "count", 0)) for service in services), default=0)


async def _is_gone(gateway: Gateway, name: str) -> bool:
    """Return whether the Gateway's proxy reports that the scheduler is gone; a slow scheduler counts as running."""
    try:
        async with asyncio.timeout(_LISTENS_S):
            (await gateway._request("GET", f"{gateway.address}/clusters/{name}/health")).release()
    except (aiohttp.ClientError, OSError, GatewayServerError, GatewayClusterError, ValueError) as error:
        return getattr(error, "status", 0) == HTTPStatus.BAD_GATEWAY
    return False
