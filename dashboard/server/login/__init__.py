"""Login by a password file, a proxy, an OpenID Connect or OAuth 2 provider, or a JupyterHub."""

from __future__ import annotations

from dashboard.server.login.doorkeeper import Admission, Denial, Doorkeeper
from dashboard.server.login.handlers import login_routes
from dashboard.server.login.password_file import hash_password
from dashboard.server.login.provider_choice import make_provider

__all__ = ["Admission", "Denial", "Doorkeeper", "hash_password", "login_routes", "make_provider"]
