"""Plan and persist on the notebook's own client."""

from __future__ import annotations

import secrets

from distributed import Client

from compute.catalog import open_catalog
from compute.errors import InputError
from compute.jobs import job_token, plan_request
from compute.jobs.run.computation import RETRIES
from compute.plan import NdviPlan
from compute.products import load_profiles
from compute.request import NdviRequest
from compute.result.stack import SeasonStack, build_stack
from compute.settings import Settings, load_settings


def plan(request: NdviRequest, settings: Settings | None = None) -> NdviPlan:
    """Find the scenes of a request and plan it; starts nothing and costs nothing.

    Parameters
    ----------
    request : NdviRequest
        What is asked for.
    settings : Settings, optional
        Index, limits and chunk sizes; left out, those of the environment.

    Raises
    ------
    InputError
        Nothing is found, or a limit is exceeded; see `compute.jobs.plan_request`.
    CatalogError
        The index cannot be reached.
    """
    settings = settings or load_settings()
    with open_catalog(settings) as catalog:
        return plan_request(request, catalog, load_profiles(None), settings)


def persist(plan: NdviPlan, client: Client) -> SeasonStack:
    """Start computing a plan on the notebook's own cluster.

    Parameters
    ----------
    plan : NdviPlan
        What to compute.
    client : distributed.Client
        Synchronous, of a cluster whose workers have Greenup.

    Returns
    -------
    SeasonStack
        Persisted, its blocks finished or not; `distributed.progress` knows it as any other Dask collection. Its blocks
        stay in the workers' memory for as long as this object lives.

    Raises
    ------
    InputError
        The client is asynchronous.
    """
    refuse_asynchronous(client)
    stack: SeasonStack = client.persist(build_stack(plan, f"{job_token(plan)}-{secrets.token_hex(4)}"), retries=RETRIES)
    return stack


def refuse_asynchronous(client: Client) -> None:
    """Refuse a client whose methods return before the answer is there, as no notebook's does."""
    if client.asynchronous:
        raise InputError("client", "The client is asynchronous; give the notebook's own, made by Client(address).")
