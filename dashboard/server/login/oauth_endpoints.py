"""Endpoints of an OAuth 2.0 provider, and their discovery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Endpoints of an OAuth 2.0 provider.

    Attributes
    ----------
    authorize : str
        Authorization endpoint (RFC 6749, section 3.1).
    token : str
        Token endpoint (RFC 6749, section 3.2).
    user : str
        Endpoint that returns the user of a token (UserInfo of OpenID Connect Core 1.0, section 5.3).
    auth_method : str
        Client authentication at the token endpoint: ``client_secret_post`` or ``client_secret_basic``.
    """

    authorize: str
    token: str
    user: str
    auth_method: str = "client_secret_post"


def parse_discovery(told: Mapping[str, Any], issuer: str) -> Endpoints:
    """Return the endpoints of a discovery document (OpenID Connect Discovery 1.0, section 3).

    Parameters
    ----------
    told : mapping
        Discovery document.
    issuer : str
        URL of the expected issuer.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
        The document belongs to another issuer, or lacks an endpoint.
    """
    if told["issuer"].rstrip("/") != issuer:
        raise ValueError(issuer)
    methods = told.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Endpoints(
        authorize=told["authorization_endpoint"],
        token=told["token_endpoint"],
        user=told["userinfo_endpoint"],
        auth_method="client_secret_basic" if "client_secret_basic" in methods else "client_secret_post",
    )
