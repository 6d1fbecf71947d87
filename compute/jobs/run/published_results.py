"""Published results: finished results that other clients of the cluster open by name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import xarray as xr
from distributed import Client, Future
from distributed.client import futures_of

from compute.errors import JobError
from compute.plan import NdviPlan, plan_document, plan_of
from compute.result.stack import SeasonStack, without_blocks
from compute.result.stack_tasks import block_key

_log = logging.getLogger(__name__)

_ANSWER_S = 10.0


def published_name(token: str) -> str:
    """Return the name of the published result of a job on its scheduler."""
    return f"greenup-{token}"


@asynccontextmanager
async def published(token: str, plan: NdviPlan, stack: SeasonStack, client: Client) -> AsyncIterator[None]:
    """Publish a finished result on its scheduler while the body runs.

    The published dataset contains the keys of the blocks and no futures, so no blocks stay on the workers after the
    server has ended. Errors are logged and not raised, because the result does not depend on its publication.

    Parameters
    ----------
    token : str
        Token of the job.
    plan : NdviPlan
        Plan of the result.
    stack : SeasonStack
        Persisted stack.
    client : distributed.Client
        Asynchronous client.
    """
    name, document = published_name(token), await asyncio.to_thread(plan_document, plan)
    await _try(client, lambda: client.publish_dataset((stack.token, document), name=name, override=True))
    try:
        yield
    finally:
        await _try(client, lambda: client.unpublish_dataset(name))


async def _try(client: Client, act: Callable[[], Awaitable[None]]) -> None:
    """Call a scheduler unless the connection is closed; errors are logged."""
    if client.status == "running":
        try:
            async with asyncio.timeout(_ANSWER_S):
                await act()
        except Exception:  # noqa: BLE001  # whatever a scheduler raises
            _log.exception("A result could not be published or withdrawn")


def open_published(token: str, client: Client) -> xr.Dataset:
    """Open the finished result of a job on the cluster that computed it, without copying its blocks.

    Parameters
    ----------
    token : str
        Token of the job, as in the link of the result.
    client : distributed.Client
        Synchronous client of that cluster. The blocks stay on the workers while the dataset exists.

    Returns
    -------
    xarray.Dataset
        Lazy dataset; see `compute.result.stack.SeasonStack.dataset`.

    Raises
    ------
    JobError
        The cluster has no finished result of that token, or has lost blocks of it.
    """
    try:
        run, document = client.get_dataset(published_name(token))
    except KeyError:
        raise JobError(
            "This cluster holds no finished result of that token; open what is kept of it instead."
        ) from None
    plan = plan_of(document)
    keys = [block_key(run, block.season, block.row, block.column) for block in plan.blocks]
    result = replace(without_blocks(plan, run), graph={key: Future(key, client) for key in keys}).dataset()
    if any(future.cancelled() for future in futures_of(result)):
        raise JobError("The cluster has lost a part of this result; open what is kept of it, or compute it again.")
    return result
