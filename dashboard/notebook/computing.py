"""Planning of requests, and computation on the notebook's own client."""

from __future__ import annotations

import secrets

from distributed import Client

from compute.catalog import open_catalog
from compute.errors import InputError
from compute.jobs import RETRIES, job_token, plan_request
from compute.plan import NdviPlan
from compute.products import load_profiles
from compute.request import NdviRequest
from compute.result.stack import SeasonStack, build_stack
from compute.settings import Settings, load_settings


def plan(request: NdviRequest, settings: Settings | None = None) -> NdviPlan:
    """Find the scenes of a request in the index and plan it, without a cluster or a computation.

    Parameters
    ----------
    request : NdviRequest
        Products, region, time and options.
    settings : Settings, optional
        Index, limits and chunk sizes; by default from the environment.

    Raises
    ------
    InputError
        No scenes are found, or a limit is exceeded; see `compute.jobs.plan_request`.
    CatalogError
        The index cannot be reached.
    """
    settings = settings or load_settings()
    with open_catalog(settings) as catalog:
        return plan_request(request, catalog, load_profiles(None), settings)


def persist(plan: NdviPlan, client: Client) -> SeasonStack:
    """Start to compute a plan on the notebook's cluster, and return without waiting for the result.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the computation.
    client : distributed.Client
        Synchronous client of a cluster whose workers have Greenup installed.

    Returns
    -------
    SeasonStack
        Persisted Dask collection, which `distributed.progress` accepts. The blocks stay on the workers as long as this
        object exists.

    Raises
    ------
    InputError
        The client is asynchronous.
    """
    check_client_is_synchronous(client)
    stack: SeasonStack = client.persist(build_stack(plan, f"{job_token(plan)}-{secrets.token_hex(4)}"), retries=RETRIES)
    return stack


def check_client_is_synchronous(client: Client) -> None:
    """Refuse an asynchronous client, whose methods return coroutines."""
    if client.asynchronous:
        raise InputError("client", "The client is asynchronous; give a synchronous one, made by Client(address).")
