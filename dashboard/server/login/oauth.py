"""Login by an OpenID Connect or OAuth 2 provider."""

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
from dashboard.server.login.providers import LoginError, Presented, valid_name

_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Addresses of a provider of OAuth 2.

    Attributes
    ----------
    authorize, token, user : str
        Where users are sent, where codes are exchanged, where a token is shown.
    auth_method : str
        How this server proves itself where codes are exchanged: in the body, as those do who are not of OpenID Connect,
        or by ``client_secret_basic``.
    """

    authorize: str
    token: str
    user: str
    auth_method: str = "client_secret_post"


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A login that was begun: what its callback must bring, and where it leads."""

    browser: str
    verifier: str
    redirect: str
    following: str


class OAuthProvider:
    """Users of an OpenID Connect or OAuth 2 provider: authorization code with PKCE (RFC 6749, RFC 7636).

    Parameters
    ----------
    client_id, client_secret : str
        This server at the provider.
    scope : str
        What is asked for, separated by spaces.
    user_key : str
        Field that tells users apart.
    endpoints : Endpoints or None
        Addresses; None for those that an issuer tells.
    issuer : str
        Address of an OpenID Connect provider; empty where the endpoints are known.
    redirect_url : str, optional
        Where the provider sends users back to; None for the address of the request.
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
        self._pending: TTLCache[str, Pending] = TTLCache(self._MOST_PENDING, self._PENDING_S)

    async def begin(self, browser: str, redirect: str, following: str) -> str:
        """Return where to send a browser that signs in.

        Parameters
        ----------
        browser : str
            What its cookie holds.
        redirect : str
            Our callback, as the provider knows it.
        following : str
            Path that it wanted.

        Raises
        ------
        LoginError
            The provider does not answer.
        """
        endpoints = await self.endpoints()
        verifier = generate_token(48)
        async with self._session(redirect_uri=redirect, code_challenge_method="S256") as session:
            url, state = session.create_authorization_url(endpoints.authorize, code_verifier=verifier)
        self._pending[state] = Pending(browser=browser, verifier=verifier, redirect=redirect, following=following)
        return str(url)

    async def finish(self, browser: str, state: str, code: str) -> tuple[Principal, Any, str]:
        """Return who has come back from the provider, the proof of it, and the path that was wanted.

        Raises
        ------
        LoginError
            The login was not begun by this browser, took too long, or the provider does not confirm it.
        """
        pending = self._pending.pop(state, None) if state else None
        if pending is None or not hmac.compare_digest(pending.browser.encode(), browser.encode()):
            raise LoginError("This login was begun elsewhere, or took too long; sign in again.")
        endpoints = await self.endpoints()
        try:
            method = endpoints.auth_method
            async with self._session(redirect_uri=pending.redirect, token_endpoint_auth_method=method) as session:
                token = await session.fetch_token(endpoints.token, code=code, code_verifier=pending.verifier)
        except (OAuthError, HTTPError, ValueError) as error:
            _log.warning("The login provider gave no token (%s).", type(error).__name__)
            raise LoginError("The login provider did not confirm the login; sign in again.") from None
        answer = await self._user(dict(token))
        principal = None if answer is None else self._principal(answer)
        if principal is None:
            raise LoginError("The login provider does not let you use this server, or does not say who you are.")
        return principal, {"token": dict(token), "scope": principal.scope}, pending.following

    async def endpoints(self) -> Endpoints:
        """Return the addresses of the provider, asked of its issuer once (OpenID Connect Discovery 1.0).

        Raises
        ------
        LoginError
            It does not tell.
        """
        if self._endpoints is None:
            try:
                async with AsyncClient(timeout=_TIMEOUT_S) as session:
                    answer = await session.get(f"{self._issuer}/.well-known/openid-configuration")
                self._endpoints = _endpoints_of(answer.raise_for_status().json(), self._issuer)
            except (HTTPError, InvalidURL, ValueError, KeyError, TypeError, AttributeError) as error:
                _log.warning("The login provider does not tell its addresses (%s).", type(error).__name__)
                raise LoginError("The login provider does not answer; try again in a minute.") from None
        return self._endpoints

    async def identify(self, presented: Presented) -> Principal | None:  # noqa: ARG002  # of the protocol
        """Return nobody: whoever comes without a login signs in first."""
        return None

    async def confirm(self, proof: Any) -> bool | None:
        """Return whether the provider still takes the token for the same user."""
        try:
            token = await self._refreshed(proof["token"])
            if token.get("expires_at", time.time() + 1) < time.time():
                return None  # it cannot be renewed; the login ends by its own age
            proof["token"] = token
            answer = await self._user(token)
        except OAuthError:
            return False  # a refused renewal
        except (HTTPError, ValueError, LoginError):
            return None
        principal = None if answer is None else self._principal(answer)
        return principal is not None and principal.scope == proof["scope"]

    async def _refreshed(self, token: dict[str, Any]) -> dict[str, Any]:
        """Return a token with a minute of life, a new one where there is a way to it."""
        if "refresh_token" not in token or token.get("expires_at", time.time() + 61) > time.time() + 60:
            return token
        endpoints = await self.endpoints()
        async with self._session(token=token, token_endpoint_auth_method=endpoints.auth_method) as session:
            return dict(await session.refresh_token(endpoints.token, refresh_token=token["refresh_token"]))

    async def _user(self, token: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what the provider says of the owner of a token, None where it takes the token no more.

        Raises
        ------
        LoginError
            It does not answer.
        """
        endpoints = await self.endpoints()
        headers = {"Authorization": f"Bearer {token['access_token']}", "Accept": "application/json"}
        try:
            async with AsyncClient(timeout=_TIMEOUT_S) as session:
                answer = await session.get(endpoints.user, headers=headers)
            if answer.status_code in (401, 403, 404):
                return None
            told = answer.raise_for_status().json()
        except (HTTPError, InvalidURL, ValueError) as error:
            _log.warning("The login provider does not say who a user is (%s).", type(error).__name__)
            raise LoginError("The login provider does not answer; try again in a minute.") from None
        return told if isinstance(told, dict) else None

    def _principal(self, answer: Mapping[str, Any]) -> Principal | None:
        told = answer.get(self._user_key)
        identity = str(told) if isinstance(told, str | int) and not isinstance(told, bool) else ""
        if not valid_name(identity):
            return None
        if self._user_key == "email" and answer.get("email_verified") is False:
            return None
        shown = (answer.get(key) for key in ("preferred_username", "login", "name", "email"))
        return user_principal(next((str(name) for name in shown if valid_name(name)), identity), identity)

    def _session(self, **more: Any) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(**self._client, **more, timeout=_TIMEOUT_S)


def _endpoints_of(told: Mapping[str, Any], issuer: str) -> Endpoints:
    """Return the addresses of a discovery document.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
        It is another issuer's, or lacks one.
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


def make_oauth(settings: Settings) -> OAuthProvider:
    """Return the provider that the settings describe.

    Raises
    ------
    InputError
        Something that it needs is missing, or is there twice.
    """
    urls = (settings.oauth_authorize_url, settings.oauth_token_url, settings.oauth_user_url)
    authorize, token, user = urls
    if settings.oauth_client_id is None or settings.oauth_client_secret is None:
        raise InputError("auth", "--auth oauth needs GREENUP_OAUTH_CLIENT_ID and GREENUP_OAUTH_CLIENT_SECRET.")
    endpoints = None if not (authorize and token and user) else Endpoints(authorize=authorize, token=token, user=user)
    if (endpoints is None) == (settings.oauth_issuer is None) or (endpoints is None and any(urls)):
        raise InputError(
            "auth",
            "--auth oauth needs either GREENUP_OAUTH_ISSUER, or all of GREENUP_OAUTH_AUTHORIZE_URL, _TOKEN_URL and "
            "_USER_URL.",
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
