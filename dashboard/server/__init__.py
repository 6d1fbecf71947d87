"""HTTP: how the page is answered, and the routes beside it."""

from dashboard.server.api import routes
from dashboard.server.page import content_policy, take_over

__all__ = ["content_policy", "routes", "take_over"]
