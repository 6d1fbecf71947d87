"""Choice of the login provider from ``--auth``."""

from __future__ import annotations

from compute.errors import InputError
from compute.settings import Settings
from compute.settings.jupyterhub import HubSettings
from dashboard.server.login.jupyterhub_login import HubProvider
from dashboard.server.login.oauth import make_oauth
from dashboard.server.login.password_file import PasswordFile
from dashboard.server.login.providers import HeaderProvider, PasswordProvider, Provider


def make_provider(settings: Settings, kind: str, *, has_proxies: bool) -> Provider | HeaderProvider | None:
    """Return the provider of a kind of login, or None for ``none``.

    Parameters
    ----------
    settings : Settings
        Settings of the provider.
    kind : str
        Value of ``--auth``: ``none``, ``basic``, ``oauth``, ``header`` or ``jupyterhub``.
    has_proxies : bool
        Whether the server has a trusted proxy.

    Raises
    ------
    InputError
        A setting that the provider needs is missing or not valid, or its password file cannot be read.
    """
    if kind == "basic":
        if settings.auth_file is None:
            raise InputError("auth", "--auth basic needs a password file; set GREENUP_AUTH_FILE.")
        return PasswordProvider(PasswordFile(settings.auth_file))
    if kind == "header":
        if not has_proxies:
            raise InputError("auth", "--auth header needs the address of the proxy that sets the header; give --proxy.")
        return HeaderProvider(settings.auth_header)
    if kind == "jupyterhub":
        return HubProvider(HubSettings())
    return make_oauth(settings) if kind == "oauth" else None
