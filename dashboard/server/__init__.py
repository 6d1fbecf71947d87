"""HTTP server: the page, the routes beside it, login and limits."""

from dashboard.server.request_gate import GatePolicy, guard, host_names, parse_networks
from dashboard.server.response_policy import content_policy
from dashboard.server.route_allowlist import take_over
from dashboard.server.routes import routes
from dashboard.server.session_limits import Visits

__all__ = ["GatePolicy", "Visits", "content_policy", "guard", "host_names", "parse_networks", "routes", "take_over"]
