"""Principals, and the token of a computation."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

from compute.plan import NdviPlan
from compute.result.number_format import NUMBER_FORMAT


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """User or program on whose behalf a call is made.

    Attributes
    ----------
    name : str
        As the login gives it, for people.
    scope : str
        Principals of one scope see one another's jobs and join them.
    """

    name: str
    scope: str


ANONYMOUS = Principal(name="anonymous", scope="shared")
"""The one principal where there is no login."""


def user_principal(name: str, identity: str | None = None) -> Principal:
    """Return the principal of somebody who is logged in.

    Parameters
    ----------
    name : str
        As people read it.
    identity : str, optional
        What tells users apart where their names do not.

    Returns
    -------
    Principal
        In a scope of its own, which no name makes that of those who are not logged in.
    """
    return Principal(name=name, scope=f"user:{identity or name}")


def participant_of(principal: Principal, visitor: str) -> str:
    """Return who takes part in what a visit asks for: its user, or the browser where there is no login.

    Parameters
    ----------
    principal : Principal
        Who visits.
    visitor : str
        Name of the browser, of any form.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    name = visitor if principal == ANONYMOUS else principal.scope
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()[:32]


def job_token(plan: NdviPlan, scope: str = ANONYMOUS.scope, secret: bytes = b"") -> str:
    """Return the identity of a computation: the same request on the same scenes by the same rules, in one scope.

    New scenes make a new token, so what a token names never changes. Without the secret it cannot be guessed.

    Parameters
    ----------
    plan : NdviPlan
        What will be computed.
    scope : str
        Scope of the principal.
    secret : bytes
        Secret of the server; empty where tokens guard nothing, as on the command line.

    Returns
    -------
    str
        32 hexadecimal digits: HMAC-SHA256, cut to 128 bits.
    """
    identity = {
        "scope": scope,
        "request": plan.request.to_json(),
        "scenes": [source.id for source in plan.sources],
        # datacube's warp depends on the chunk, so other chunks are another computation.
        "chunks": plan.chunks,
        "roles": {product: asdict(roles) for product, roles in plan.roles.items()},
        "engine": NUMBER_FORMAT,
    }
    return hmac.new(secret, json.dumps(identity, sort_keys=True).encode(), hashlib.sha256).hexdigest()[:32]
