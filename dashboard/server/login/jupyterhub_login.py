"""Login through a JupyterHub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cachetools import TTLCache

from compute.errors import InputError
from compute.jobs import Principal, user_principal
from compute.settings.jupyterhub import HubSettings
from dashboard.server.login.oauth import OAuthProvider
from dashboard.server.login.oauth_endpoints import Endpoints
from dashboard.server.login.providers import Credentials, valid_name
from dashboard.server.login.throttle import LoginThrottle

_CACHED_S = 30.0
_MOST_CACHED = 1000


class HubProvider(OAuthProvider):
    """Users of a JupyterHub of which this server is a service.

    https://jupyterhub.readthedocs.io/en/stable/reference/services.html

    Parameters
    ----------
    hub : HubSettings
        Environment variables that the hub sets for its services.

    Raises
    ------
    InputError
        A variable is missing or not valid.
    """

    def __init__(self, hub: HubSettings) -> None:
        if hub.api_url is None or hub.api_token is None or hub.client_id is None:
            raise InputError(
                "auth",
                "--auth jupyterhub needs JUPYTERHUB_API_URL, JUPYTERHUB_API_TOKEN and JUPYTERHUB_CLIENT_ID; set them "
                "as the hub does for its services.",
            )
        api, outside = hub.api_url.rstrip("/"), f"{hub.host}{hub.base_url.rstrip('/')}/hub/api"
        super().__init__(
            client_id=hub.client_id,
            client_secret=hub.api_token.get_secret_value(),
            scope="",
            user_key="name",
            endpoints=Endpoints(
                authorize=f"{outside}/oauth2/authorize", token=f"{api}/oauth2/token", user=f"{api}/user"
            ),
            redirect_url=hub.oauth_callback_url,
        )
        service = hub.client_id.removeprefix("service-")
        self._scopes = _scopes(hub.oauth_access_scopes) or {f"access:services!service={service}"}
        self._throttle = LoginThrottle()
        self._known: TTLCache[str, Principal | None] = TTLCache(_MOST_CACHED, _CACHED_S)

    async def identify_user(self, credentials: Credentials) -> Principal | None:
        """Return the principal of a hub API token in the header or the query, or None without a valid token."""
        token = credentials.find_authorization("token", "bearer") or credentials.link
        if not token:
            return None
        with suppress(KeyError):
            return self._known[token]
        self._throttle.check_attempts(credentials.address, "")
        answer = await self._fetch_user({"access_token": token})
        principal = None if answer is None else self._make_principal(answer)
        if principal is None:
            self._throttle.record_failure(credentials.address, "")
        self._known[token] = principal
        return principal

    def _make_principal(self, answer: Mapping[str, Any]) -> Principal | None:
        """Return the principal of a token, or None if it has no access scope of this service or no user."""
        scopes = set(answer.get("scopes", ()))
        may = any(scope in scopes or scope.partition("!")[0] in scopes for scope in self._scopes)
        name = answer.get("name")
        return user_principal(str(name)) if may and answer.get("kind") == "user" and valid_name(name) else None


def _scopes(text: str) -> set[str]:
    try:
        scopes = json.loads(text or "[]")
    except ValueError:
        scopes = None
    if not isinstance(scopes, list) or not all(isinstance(each, str) for each in scopes):
        raise InputError("auth", "JUPYTERHUB_OAUTH_ACCESS_SCOPES is not a JSON list of scopes; unset it or correct it.")
    return set(scopes)
