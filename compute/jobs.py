"""The life of a job: plan, submit, watch block by block, cancel."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any, Self

import dask.array as da
from distributed import Client, Future, KilledWorker, as_completed

from compute import __version__
from compute.blocks import Block, CancelFlags, cancel_on_worker, running_on_worker
from compute.catalog import Catalog
from compute.errors import JobCancelledError, JobError, NoScenesError
from compute.plan import NdviPlan, make_plan
from compute.products import ProductProfile, Roles, resolve
from compute.request import NdviRequest
from compute.settings import Settings
from compute.stack import SeasonStack, build_stack

RETRIES = 3
"""Times that a block is tried again when its worker dies or a read fails: networks and nodes do."""

_CANCEL_POLL_S = 0.05


def plan_request(
    request: NdviRequest, catalog: Catalog, profiles: Mapping[str, ProductProfile], settings: Settings
) -> NdviPlan:
    """Find the scenes of a request and plan it. Reads the index; starts nothing and costs nothing.

    Parameters
    ----------
    request : NdviRequest
        As asked.
    catalog : Catalog
        Where scenes are found.
    profiles : mapping of str to ProductProfile
        What products mean, from `compute.products.load_profiles`.
    settings : Settings
        Limits and chunk sizes.

    Returns
    -------
    NdviPlan
        Ready to be submitted.

    Raises
    ------
    InputError
        A product is unknown or not described, nothing is found (`NoScenesError`), or a limit is exceeded
        (`TooLargeError`).
    """
    roles = {product: _roles(product, request, catalog, profiles) for product in request.products}
    scenes = [
        scene
        for product in request.products
        for scene in catalog.find(
            product,
            roles[product].measurements,
            region=request.region.geometry,
            time=(request.start, request.end),
        )
    ]
    if not scenes:
        raise _nothing_found(request, catalog)
    return make_plan(request, scenes, roles, settings)


def _roles(product: str, request: NdviRequest, catalog: Catalog, profiles: Mapping[str, ProductProfile]) -> Roles:
    definition = catalog.definition(product)
    if product not in profiles:
        raise NoScenesError(
            "product",
            f"Product {product} is indexed but not described; name its red, nir and mask in a products file "
            "and give it by --products.",
        )
    return resolve(definition, profiles[product], clear=request.clear, valid_range=request.valid_range)


def _nothing_found(request: NdviRequest, catalog: Catalog) -> NoScenesError:
    names = " or ".join(request.products)
    held = catalog.extent(request.products)
    if held is None:
        return NoScenesError("product", f"The index holds no scene of {names}; add some with greenup index add.")
    west, south, east, north = held.bbox
    return NoScenesError(
        "bbox",
        f"No scene of {names} meets the region from {request.start} to {request.end}; the index holds longitudes "
        f"{west:.2f} to {east:.2f}, latitudes {south:.2f} to {north:.2f}, {held.time[0]} to {held.time[1]}.",
    )


def job_token(plan: NdviPlan) -> str:
    """Return the identity of a computation: the same request on the same scenes by the same engine.

    Parameters
    ----------
    plan : NdviPlan
        What will be computed.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    identity = {
        "request": plan.request.to_json(),
        "scenes": [source.id for source in plan.sources],
        "roles": {product: asdict(roles) for product, roles in plan.roles.items()},
        "engine": __version__,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


class Job:
    """A computation that runs on a cluster; as long as this object lives, the cluster keeps its blocks.

    Attributes
    ----------
    token : str
        Identity of the computation.
    plan : NdviPlan
        What is computed.
    stack : SeasonStack
        The persisted result, its blocks finished or not.
    """

    def __init__(self, token: str, plan: NdviPlan, stack: SeasonStack, client: Client) -> None:
        self.token = token
        self.plan = plan
        self.stack = stack
        self._client = client
        self._cancelled = False

    @classmethod
    async def submit(cls, plan: NdviPlan, client: Client) -> Self:
        """Start a computation.

        Its keys are its own even when the same request ran before: tasks of a cancelled run may still be ending.

        Parameters
        ----------
        plan : NdviPlan
            What to compute.
        client : distributed.Client
            An asynchronous client of a cluster with workers.

        Returns
        -------
        Job
            Running.
        """
        await client.register_plugin(CancelFlags())
        token = job_token(plan)
        lazy = build_stack(plan, f"{token}-{secrets.token_hex(4)}")
        return cls(token, plan, client.persist(lazy, retries=RETRIES), client)

    @property
    def total(self) -> int:
        """Number of blocks."""
        return len(self.plan.blocks)

    @property
    def done(self) -> int:
        """Number of finished blocks."""
        return sum(future.status == "finished" for future in self._futures.values())

    @property
    def _futures(self) -> Mapping[object, Future[Block]]:
        return self.stack.graph

    async def progress(self) -> AsyncIterator[int]:
        """Yield the number of finished blocks each time that one finishes, until all have.

        Raises
        ------
        JobCancelledError
            The job was cancelled.
        JobError
            A block failed for good; the sentence says why.
        """
        finished = 0
        async for future in as_completed(self._futures.values(), loop=self._client.loop):
            await self._raise_failure(future)
            finished += 1
            yield finished

    async def result(self) -> SeasonStack:
        """Wait for the last block and return the persisted stack; raises as `progress` does."""
        async for _ in self.progress():
            pass
        return self.stack

    async def statistics(self) -> list[dict[str, Any]]:
        """Reduce each season of the finished result to a few numbers, on the workers.

        Returns
        -------
        list of dict
            For each season ``label``, ``ndvi_mean`` (mean of the pixel means, each weighing 1; None where nothing was
            clear), ``clear_share`` (share of the output grid with a mean), ``clear_count_max``.
        """
        dataset = self.stack.dataset()
        mean, count = (dataset[name].data for name in ("ndvi_mean", "clear_count"))
        seen = ~da.isnan(mean)
        axes = (1, 2)
        lazy = [da.where(seen, mean, 0).sum(axes, dtype="f8"), seen.sum(axes), count.max(axes)]
        sums, pixels, most = await self._client.gather(self._client.compute(lazy))
        size = mean[0].size
        return [
            {
                "label": label,
                "ndvi_mean": float(sums[n] / pixels[n]) if pixels[n] else None,
                "clear_share": float(pixels[n] / size),
                "clear_count_max": int(most[n]),
            }
            for n, label in enumerate(self.stack.labels)
        ]

    def provenance(self) -> dict[str, Any]:
        """Return what a reader of the result must know to make it again, ready for JSON."""
        return {
            "title": "Seasonal mean NDVI",
            "source": f"greenup {__version__}",
            "greenup_token": self.token,
            "greenup_request": self.plan.request.to_json(),
            "greenup_scenes": [source.id for source in self.plan.sources],
            "greenup_incomplete": {s.label: list(s.missing) for s in self.plan.seasons if s.missing},
        }

    def caption(self) -> tuple[str, list[str]]:
        """Return the title of a picture of the result, and the notes below it."""
        request, (dy, _) = self.plan.request, self.plan.grid.resolution
        title = f"Seasonal mean NDVI, {request.start} to {request.end}"
        notes = [f"{', '.join(request.products)}, {len(self.plan.sources)} scenes, {dy:g} m in {self.plan.grid.crs}"]
        notes += [
            f"{season.label} is incomplete: without {', '.join(season.missing)}"
            for season in self.plan.seasons
            if season.missing
        ]
        return title, notes

    async def cancel(self) -> None:
        """Stop the work and return when no task of it runs any more.

        Running tasks end at their next read, the others never start, and finished blocks are forgotten.
        """
        self._cancelled = True
        run = self.stack.token
        await self._client.run(cancel_on_worker, run)
        await self._client.cancel(list(self._futures.values()), force=True)
        while any((await self._client.run(running_on_worker, run)).values()):  # noqa: ASYNC110  # workers send no event
            await asyncio.sleep(_CANCEL_POLL_S)

    async def _raise_failure(self, future: Future[Block]) -> None:
        if self._cancelled or future.status == "cancelled":
            raise JobCancelledError("The computation was cancelled.")
        if future.status != "error":
            return
        error = await future.exception()
        if isinstance(error, JobError):
            raise error
        if isinstance(error, KilledWorker):
            message = (
                f"A block lost its worker {RETRIES + 1} times, most likely for want of memory (a task needs about "
                f"{self.plan.task_bytes / 2**20:.0f} MiB); give workers more memory or a smaller GREENUP_CHUNK_PX."
            )
            raise JobError(message) from error
        raise JobError(f"A block failed with {type(error).__name__}; see the workers' logs.") from error
