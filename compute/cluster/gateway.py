"""Clusters of a Dask Gateway; with `compute.cluster.gateway_answers` the only user of dask_gateway.

Works with the `Gateway` client's plain requests instead of its `GatewayCluster`, which cannot be bounded in time,
cannot say how far the start has come, and loses track of a cluster when its start is cancelled.
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

from compute.cluster.bounded_waits import to_the_end
from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.gateway_answers import GONE, ask, open_gateway
from compute.cluster.offered_options import ClusterOption, choose, describe, with_configured_defaults
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
    """A cluster of this user at the Gateway.

    Attributes
    ----------
    name : str
        The full name. Whoever knows it can see the cluster's dashboards without a login: not for logs and pages.
    short_name : str
        What people are shown; ``gateway:SHORT_NAME`` finds the cluster, too.
    status : str
        ``"pending"`` or ``"running"``.
    started : datetime.datetime
        When it was asked for, in UTC.
    """

    name: str = field(repr=False)
    short_name: str
    status: str
    started: datetime


def short_name(name: str) -> str:
    """Return what people are shown of a cluster's full name, which would open its dashboards to them."""
    # Kubernetes Gateways put their namespace before a dot; the random part says which cluster it is.
    return name.rpartition(".")[2][:8]


async def list_gateway_clusters(settings: Settings) -> list[RunningCluster]:
    """List this user's clusters that start or run.

    Raises
    ------
    ClusterError
        The Gateway cannot be reached, or refuses the login.
    """
    async with open_gateway(settings) as gateway:
        reports = await ask(gateway.list_clusters())
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
    """List the options that a new cluster can be given.

    Raises
    ------
    ClusterError
        The Gateway cannot be reached, or refuses the login.
    """
    async with open_gateway(settings) as gateway:
        return describe(await _options(gateway))


async def stop_gateway_cluster(settings: Settings, name: str) -> None:
    """Stop a cluster, whoever uses it.

    Parameters
    ----------
    settings : Settings
        With the Gateway's address.
    name : str
        Full or short name.

    Raises
    ------
    ClusterError
        No such cluster runs, or the Gateway cannot be reached.
    """
    async with open_gateway(settings) as gateway:
        await ask(gateway.stop_cluster(await _find(gateway, name)), GONE)


@asynccontextmanager
async def gateway_scheduler(
    spec: ClusterSpec, settings: Settings, stages: Stages, resume: str = ""
) -> AsyncIterator[Endpoint]:
    """Start or find a cluster; at the end, stop one that was started or resumed here.

    Parameters
    ----------
    spec : ClusterSpec
        Of kind ``"gateway"``.
    settings : Settings
        With the Gateway's address and the longest wait for a scheduler.
    stages : Stages
        Told of each step.
    resume : str
        Short name of a cluster that was started for this `spec` before: it stands for the one to start.

    Yields
    ------
    Endpoint
        The running scheduler, with whatever workers it has.

    Raises
    ------
    InputError
        A cluster option is unknown or has a value that the Gateway does not take; nothing was started.
    ClusterError
        The Gateway cannot be reached, or the scheduler did not start; at the end, it was not stopped.
    """
    async with open_gateway(settings) as gateway:
        if spec.name:
            name = await _find(gateway, spec.name)
            stages.cluster = short_name(name)
            yield await _running(gateway, name, settings, stages)
            return
        async with _ours(gateway, await _asked_for(gateway, spec, stages, resume)) as name:
            stages.cluster = short_name(name)
            stages.report("starting scheduler", "The Gateway is starting the scheduler.")
            yield await _running(gateway, name, settings, stages)


async def _options(gateway: Gateway) -> Any:
    return with_configured_defaults(await ask(gateway.cluster_options(use_local_defaults=False)))


async def _find(gateway: Gateway, wanted: str) -> str:
    names = [report.name for report in await ask(gateway.list_clusters())]
    matches = [name for name in names if wanted in (name, short_name(name))]
    if len(matches) == 1:
        return str(matches[0])
    running = ", ".join(map(short_name, names)) or "none"
    raise ClusterError(f"No cluster of that name runs at the Gateway; running: {running}.")


async def _asked_for(gateway: Gateway, spec: ClusterSpec, stages: Stages, resume: str) -> Awaitable[str]:
    """Return what gives the name of a cluster once it is awaited, and then alone starts one."""
    if resume:
        return _find(gateway, resume)
    options = choose(await _options(gateway), spec.options)
    stages.report("starting scheduler", "The Gateway is asked for a cluster.")
    return ask(gateway.submit(options), "The Dask Gateway did not start a cluster: {}.")


@asynccontextmanager
async def _ours(gateway: Gateway, named: Awaitable[str]) -> AsyncIterator[str]:
    """Await the name of a cluster, and stop that cluster at the end."""
    submission = asyncio.ensure_future(named)
    failed = False
    try:
        yield await to_the_end(submission)
    except Exception:
        failed = True
        raise
    finally:
        # Also when cancelled before the name came back: the Gateway may have started a cluster by then.
        if submission.done() and not submission.cancelled() and submission.exception() is None:
            await to_the_end(_stop(gateway, submission.result(), quietly=failed))


async def _stop(gateway: Gateway, name: str, *, quietly: bool) -> None:
    """Stop a cluster; say that it was not stopped, `quietly` in the log alone, where another sentence is on its way."""
    try:
        await ask(gateway.stop_cluster(name), GONE)
    except ClusterError as error:
        reason = str(error)
        message = f"Gateway cluster {short_name(name)} was not stopped and may still cost money: {reason}"
        _log.warning(message)
        if not quietly:
            raise ClusterError(message) from None


async def _running(gateway: Gateway, name: str, settings: Settings, stages: Stages) -> Endpoint:
    """Wait for the scheduler."""
    report = await ask(gateway.get_cluster(name), GONE)
    while report.status.name == "PENDING":
        if stages.seconds > settings.cluster_start_timeout_s:
            raise ClusterError(
                f"The scheduler did not start within {settings.cluster_start_timeout_s:g} s; the Gateway may be out "
                "of room, so try again later or ask its administrator."
            )
        stages.report("starting scheduler", "The Gateway is starting the scheduler.")
        await asyncio.sleep(_POLL_S)
        report = await ask(gateway.get_cluster(name), GONE)
    if report.status.name != "RUNNING":
        raise ClusterError("The Gateway could not start the scheduler; its administrator finds the reason in its log.")
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
    """Ask for `n` workers and return how many the Gateway allows."""
    return await _resize(gateway, name, "scale", {"count": n}) or n


async def _adapt(gateway: Gateway, name: str, least: int, most: int) -> int:
    """Have the scheduler follow its work and return the most workers that the Gateway allows."""
    return await _resize(gateway, name, "adapt", {"minimum": least, "maximum": most}) or most


async def _resize(gateway: Gateway, name: str, act: str, numbers: dict[str, int]) -> int:
    """Return the limit that the numbers are cut to; 0 where they are within it."""
    # The methods of `Gateway` tell of the limit by a warning, which belongs to the process and not to this call.
    request = gateway._request("POST", f"{gateway.address}/api/v1/clusters/{name}/{act}", json=numbers)
    answer = await ask((await ask(request, GONE)).json())
    limit = _LIMIT.search(answer.get("msg") or "")
    return int(limit[1]) if limit else 0


async def _expected_workers(client: Any) -> int:
    """Return the requested number of workers of a Gateway cluster, fixed or adaptive."""
    return int(await client.run_on_scheduler(_count_asked_for))


def _count_asked_for(dask_scheduler: Any) -> int:
    # dask-gateway 2026.3 tells no client: its plugin on the scheduler has the number, and tells the Gateway.
    services = (getattr(plugin, "service", None) for plugin in dask_scheduler.plugins.values())
    return max((int(getattr(service, "count", 0)) for service in services), default=0)


async def _is_gone(gateway: Gateway, name: str) -> bool:
    """Ask the proxy, which knows at once that nothing listens any more; a scheduler that is slow gives no answer."""
    try:
        async with asyncio.timeout(_LISTENS_S):
            (await gateway._request("GET", f"{gateway.address}/clusters/{name}/health")).release()
    except (aiohttp.ClientError, OSError, GatewayServerError, GatewayClusterError, ValueError) as error:
        return getattr(error, "status", 0) == HTTPStatus.BAD_GATEWAY
    return False
