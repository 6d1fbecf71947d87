"""Login by a password file, a proxy header, an OpenID Connect or OAuth 2.0 provider, or a JupyterHub."""

from __future__ import annotations

from dashboard.server.login.access_control import AccessControl, Admission, Denial
from dashboard.server.login.handlers import login_routes
from dashboard.server.login.password_file import hash_password
from dashboard.server.login.provider_choice import make_provider

__all__ = ["AccessControl", "Admission", "Denial", "hash_password", "login_routes", "make_provider"]
