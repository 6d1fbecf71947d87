"""Environment variables that a JupyterHub sets for its services."""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class HubSettings(BaseSettings):
    """Settings of a JupyterHub service, set by the hub or by an operator in its place.

    https://jupyterhub.readthedocs.io/en/stable/reference/services.html
    """

    model_config = SettingsConfigDict(env_prefix="JUPYTERHUB_", env_ignore_empty=True, extra="ignore", frozen=True)

    api_url: str | None = None
    """Address of the hub's API as this server reaches it, such as ``http://hub:8081/hub/api``."""

    api_token: SecretStr | None = None
    """Token of the service."""

    client_id: str | None = None
    """OAuth client of the service, such as ``service-greenup``."""

    host: str = ""
    """Scheme and host of the hub as browsers reach it; empty where that is this server's own."""

    base_url: str = "/"
    """Path of the hub, to which ``hub/`` is added."""

    oauth_callback_url: str | None = None
    """Where the hub sends users back to, as it knows it; unset, ``oauth_callback`` below the page."""

    oauth_access_scopes: str = ""
    """Scopes of which a user must have one, as a JSON list; unset, those that let use this service."""
