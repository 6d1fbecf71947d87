"""The map: OpenLayers as a Panel component. Parameters go in, what people do comes out."""

from dashboard.map.component import HATCH, NEVER_CLEAR, NdviMap

__all__ = ["HATCH", "NEVER_CLEAR", "NdviMap"]
