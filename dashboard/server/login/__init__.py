"""Login: who somebody is, by a password file, a proxy, an OpenID Connect or OAuth 2 provider, or a JupyterHub."""

from __future__ import annotations

from dashboard.server.login.choice import make_provider
from dashboard.server.login.doorkeeper import Admission, Denial, Doorkeeper
from dashboard.server.login.handlers import login_routes
from dashboard.server.login.passwords import hash_password

__all__ = ["Admission", "Denial", "Doorkeeper", "hash_password", "login_routes", "make_provider"]
