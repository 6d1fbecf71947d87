"""HTTP: how the page is answered, and the routes beside it."""

from dashboard.server.gate import GatePolicy, guard, host_names, parse_networks
from dashboard.server.policy import content_policy
from dashboard.server.routes import routes
from dashboard.server.surface import take_over
from dashboard.server.visits import Visits

__all__ = ["GatePolicy", "Visits", "content_policy", "guard", "host_names", "parse_networks", "routes", "take_over"]
