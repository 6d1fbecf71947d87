"""Login by an OpenID Connect or OAuth 2.0 provider."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from cachetools import TTLCache
from httpx2 import AsyncClient, HTTPError, InvalidURL

from compute.errors import InputError
from compute.jobs import Principal, user_principal
from compute.settings import Settings
from dashboard.server.login.oauth_endpoints import Endpoints, parse_discovery
from dashboard.server.login.providers import Credentials, LoginError, valid_name

_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PendingLogin:
    """Login that has been started and not yet finished by its callback.

    Attributes
    ----------
    browser : str
        Value of the cookie of the browser that started it.
    verifier : str
        Code verifier (RFC 7636, section 4.1).
    redirect : str
        Redirect URI.
    following : str
        Path to open after the login.
    """

    browser: str
    verifier: str
    redirect: str
    following: str


class OAuthProvider:
    """Users of an OpenID Connect or OAuth 2.0 provider: authorization code grant with PKCE (RFC 6749, RFC 7636).

    Parameters
    ----------
    client_id, client_secret : str
        Credentials of this server at the provider.
    scope : str
        Requested scopes, separated by spaces.
    user_key : str
        Field of the user endpoint's answer that identifies a user.
    endpoints : Endpoints, optional
        Endpoints; None to discover them from `issuer`.
    issuer : str
        URL of an OpenID Connect provider; empty if the endpoints are given.
    redirect_url : str, optional
        Redirect URI; by default it follows from the request.
    """

    confirmed_s = 30.0
    _PENDING_S = 600.0
    _MOST_PENDING = 2000

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        scope: str,
        user_key: str,
        endpoints: Endpoints | None = None,
        issuer: str = "",
        redirect_url: str | None = None,
    ) -> None:
        self._client = {"client_id": client_id, "client_secret": client_secret, "scope": scope or None}
        self._user_key = user_key
        self._endpoints = endpoints
        self._issuer = issuer.rstrip("/")
        self.redirect_url = redirect_url
        self._pending: TTLCache[str, PendingLogin] = TTLCache(self._MOST_PENDING, self._PENDING_S)

    async def start_login(self, browser: str, redirect: str, following: str) -> str:
        """Return the authorization URL for a browser that signs in.

        Parameters
        ----------
        browser : str
            Value of the browser's cookie.
        redirect : str
            Redirect URI.
        following : str
            Path to open after the login.

        Raises
        ------
        LoginError
            The provider does not answer.
        """
        endpoints = await self.find_endpoints()
        verifier = generate_token(48)
        async with self._open_session(redirect_uri=redirect, code_challenge_method="S256") as session:
            url, state = session.create_authorization_url(endpoints.authorize, code_verifier=verifier)
        self._pending[state] = PendingLogin(browser=browser, verifier=verifier, redirect=redirect, following=following)
        return str(url)

    async def finish_login(self, browser: str, state: str, code: str) -> tuple[Principal, Any, str]:
        """Exchange an authorization code for a token, and return the user.

        Parameters
        ----------
        browser : str
            Value of the browser's cookie.
        state, code : str
            Query parameters of the callback (RFC 6749, section 4.1.2).

        Returns
        -------
        principal : Principal
            Authenticated user.
        proof : dict
            Token and scope of the user, for `confirm_login`.
        following : str
            Path to open.

        Raises
        ------
        LoginError
            Another browser started the login, the login took too long, or the provider does not confirm it.
        """
        pending = self._pending.pop(state, None) if state else None
        if pending is None or not hmac.compare_digest(pending.browser.encode(), browser.encode()):
            raise LoginError("This login was started in another browser or took over ten minutes; sign in again.")
        endpoints = await self.find_endpoints()
        try:
            method = endpoints.auth_method
            async with self._open_session(redirect_uri=pending.redirect, token_endpoint_auth_method=method) as session:
                token = await session.fetch_token(endpoints.token, code=code, code_verifier=pending.verifier)
        except (OAuthError, HTTPError, ValueError) as error:
            _log.warning("The token endpoint of the login provider returned no token (%s).", type(error).__name__)
            raise LoginError("The login provider did not confirm the login; sign in again.") from None
        answer = await self._fetch_user(dict(token))
        principal = None if answer is None else self._make_principal(answer)
        if principal is None:
            raise LoginError("The login provider does not allow you to use this server, or does not identify you.")
        return principal, {"token": dict(token), "scope": principal.scope}, pending.following

    async def find_endpoints(self) -> Endpoints:
        """Return the endpoints of the provider, discovered once (OpenID Connect Discovery 1.0, section 4).

        Raises
        ------
        LoginError
            The provider does not answer, or its document is not valid.
        """
        if self._endpoints is None:
            try:
                async with AsyncClient(timeout=_TIMEOUT_S) as session:
                    answer = await session.get(f"{self._issuer}/.well-known/openid-configuration")
                self._endpoints = parse_discovery(answer.raise_for_status().json(), self._issuer)
            except (HTTPError, InvalidURL, ValueError, KeyError, TypeError, AttributeError) as error:
                _log.warning("The discovery document of the login provider cannot be read (%s).", type(error).__name__)
                raise LoginError("The login provider does not answer; try again in a minute.") from None
        return self._endpoints

    async def identify_user(self, credentials: Credentials) -> Principal | None:  # noqa: ARG002  # required by the protocol
        """Return None: with this provider, programs authenticate by the token of a login."""
        return None

    async def confirm_login(self, proof: Any) -> bool | None:
        """Return whether the provider still accepts the token for the same user; None if it does not answer."""
        try:
            token = await self._refresh_token(proof["token"])
            if token.get("expires_at", time.time() + 1) < time.time():
                return None  # expired and without a refresh token: the login ends by its own age
            proof["token"] = token
            answer = await self._fetch_user(token)
        except OAuthError:
            return False  # the provider refused to refresh the token
        except (HTTPError, ValueError, LoginError):
            return None
        principal = None if answer is None else self._make_principal(answer)
        return principal is not None and principal.scope == proof["scope"]

    async def _refresh_token(self, token: dict[str, Any]) -> dict[str, Any]:
        """Return a token that is valid for another minute, refreshed if possible (RFC 6749, section 6)."""
        if "refresh_token" not in token or token.get("expires_at", time.time() + 61) > time.time() + 60:
            return token
        endpoints = await self.find_endpoints()
        async with self._open_session(token=token, token_endpoint_auth_method=endpoints.auth_method) as session:
            return dict(await session.refresh_token(endpoints.token, refresh_token=token["refresh_token"]))

    async def _fetch_user(self, token: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the provider's description of the owner of a token, or None if it does not accept the token.

        Raises
        ------
        LoginError
            The provider does not answer.
        """
        endpoints = await self.find_endpoints()
        headers = {"Authorization": f"Bearer {token['access_token']}", "Accept": "application/json"}
        try:
            async with AsyncClient(timeout=_TIMEOUT_S) as session:
                answer = await session.get(endpoints.user, headers=headers)
            if answer.status_code in (401, 403, 404):
                return None
            told = answer.raise_for_status().json()
        except (HTTPError, InvalidURL, ValueError) as error:
            _log.warning("The user endpoint of the login provider does not answer (%s).", type(error).__name__)
            raise LoginError("The login provider does not answer; try again in a minute.") from None
        return told if isinstance(told, dict) else None

    def _make_principal(self, answer: Mapping[str, Any]) -> Principal | None:
        told = answer.get(self._user_key)
        identity = str(told) if isinstance(told, str | int) and not isinstance(told, bool) else ""
        if not valid_name(identity):
            return None
        if self._user_key == "email" and answer.get("email_verified") is False:
            return None
        shown = (answer.get(key) for key in ("preferred_username", "login", "name", "email"))
        return user_principal(next((str(name) for name in shown if valid_name(name)), identity), identity)

    def _open_session(self, **more: Any) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(**self._client, **more, timeout=_TIMEOUT_S)


def make_oauth(settings: Settings) -> OAuthProvider:
    """Return the provider that the settings describe.

    Raises
    ------
    InputError
        A setting is missing, or both an issuer and endpoints are given.
    """
    urls = (settings.oauth_authorize_url, settings.oauth_token_url, settings.oauth_user_url)
    authorize, token, user = urls
    if settings.oauth_client_id is None or settings.oauth_client_secret is None:
        raise InputError(
            "auth",
            "--auth oauth needs a client of the provider; set GREENUP_OAUTH_CLIENT_ID and GREENUP_OAUTH_CLIENT_SECRET.",
        )
    endpoints = None if not (authorize and token and user) else Endpoints(authorize=authorize, token=token, user=user)
    if (endpoints is None) == (settings.oauth_issuer is None) or (endpoints is None and any(urls)):
        raise InputError(
            "auth",
            "--auth oauth needs either GREENUP_OAUTH_ISSUER, or all of GREENUP_OAUTH_AUTHORIZE_URL, _TOKEN_URL and "
            "_USER_URL; set one or the other.",
        )
    return OAuthProvider(
        client_id=settings.oauth_client_id,
        client_secret=settings.oauth_client_secret.get_secret_value(),
        scope=settings.oauth_scope,
        user_key=settings.oauth_user_key,
        endpoints=endpoints,
        issuer=settings.oauth_issuer or "",
        redirect_url=settings.oauth_redirect_url,
    )
