"""HTTP: how the page is answered, and the routes beside it."""

from dashboard.server.page import content_policy, take_over
from dashboard.server.routes import routes

__all__ = ["content_policy", "routes", "take_over"]
