"""HTTP server: the page, other routes, login and limits."""

from dashboard.server.request_gate import GatePolicy, install_gate, parse_host_names, parse_networks
from dashboard.server.response_policy import build_content_policy
from dashboard.server.route_allowlist import take_over
from dashboard.server.routes import list_all_routes
from dashboard.server.session_limits import SessionLimits

__all__ = [
    "GatePolicy",
    "SessionLimits",
    "build_content_policy",
    "install_gate",
    "list_all_routes",
    "parse_host_names",
    "parse_networks",
    "take_over",
]
