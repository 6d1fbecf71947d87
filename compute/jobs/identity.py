"""Principals and participants, and the token of a computation."""

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
        Display name, from the login.
    scope : str
        Key of the principals that share jobs: those of one scope see and join one another's jobs.
    """

    name: str
    scope: str


ANONYMOUS = Principal(name="anonymous", scope="shared")
"""Principal of all users without a login."""


def user_principal(name: str, identity: str | None = None) -> Principal:
    """Return the principal of a logged-in user.

    Parameters
    ----------
    name : str
        Display name.
    identity : str, optional
        Unique identifier of the user; by default the name.

    Returns
    -------
    Principal
        Principal with a scope of its own, which differs from that of `ANONYMOUS` for every name.
    """
    return Principal(name=name, scope=f"user:{identity or name}")


def participant_of(principal: Principal, visitor: str) -> str:
    """Return the participant key of a visit: that of its user or, without a login, of its browser.

    Parameters
    ----------
    principal : Principal
        Principal of the visit.
    visitor : str
        Identifier of the browser, any text.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    name = visitor if principal == ANONYMOUS else principal.scope
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()[:32]


def job_token(plan: NdviPlan, scope: str = ANONYMOUS.scope, secret: bytes = b"") -> str:
    """Return the token of a computation, a hash of its request, scenes, chunks, roles and scope.

    If the index has new scenes for a request, its token differs, so a token always identifies the same result. The
    token cannot be guessed without the secret.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the computation.
    scope : str
        Scope of the principal.
    secret : bytes
        Secret of the server; empty if tokens protect nothing, as on the command line.

    Returns
    -------
    str
        32 hexadecimal digits: HMAC-SHA256, cut to 128 bits.
    """
    identity = {
        "scope": scope,
        "request": plan.request.to_json(),
        "scenes": [source.id for source in plan.sources],
        # datacube's warp depends on the chunks, so other chunks may change the result.
        "chunks": plan.chunks,
        "roles": {product: asdict(roles) for product, roles in plan.roles.items()},
        "engine": NUMBER_FORMAT,
    }
    return hmac.new(secret, json.dumps(identity, sort_keys=True).encode(), hashlib.sha256).hexdigest()[:32]
