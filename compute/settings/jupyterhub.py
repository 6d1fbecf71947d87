"""Environment variables that a JupyterHub sets for its services."""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class HubSettings(BaseSettings):
    """Settings of a JupyterHub service, from variables that the hub or an operator sets.

    https://jupyterhub.readthedocs.io/en/stable/reference/services.html
    """

    model_config = SettingsConfigDict(env_prefix="JUPYTERHUB_", env_ignore_empty=True, extra="ignore", frozen=True)

    api_url: str | None = None
    """URL of the hub's REST API for requests of this server, such as ``http://hub:8081/hub/api``."""

    api_token: SecretStr | None = None
    """API token of the service."""

    client_id: str | None = None
    """OAuth client id of the service, such as ``service-greenup``."""

    host: str = ""
    """Scheme and host of the hub's URL in browsers; empty if they equal those of this server."""

    base_url: str = "/"
    """URL path of the hub, without ``hub/``."""

    oauth_callback_url: str | None = None
    """Redirect URI registered at the hub. Default: ``oauth_callback`` below the URL of the page."""

    oauth_access_scopes: str = ""
    """JSON list of scopes that grant access to this service; a user needs at least one. Default: the access scope of
    this service."""
