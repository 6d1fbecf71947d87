"""Map of the dashboard: OpenLayers as a Panel component."""

from dashboard.map.component import HATCH, NEVER_CLEAR, NdviMap

__all__ = ["HATCH", "NEVER_CLEAR", "NdviMap"]
