"""Regions: boxes and polygons in degrees, parsed from text or GeoJSON.

The western longitude of a region is from -180 to below 180. If the region crosses 180 degrees, its eastern longitude is
above 180: 179 to 181 instead of 179 to -179.
"""

from compute.request.region.antimeridian import longitude_span, turns_between
from compute.request.region.boxes import Bbox, Region, parse_bbox, region_from_bbox
from compute.request.region.geojson import MAX_GEOJSON_BYTES, MAX_JOINED_VERTICES, MAX_VERTICES, parse_geojson
from compute.request.region.region_files import parse_region, read_region, region_from_bytes

__all__ = [
    "MAX_GEOJSON_BYTES",
    "MAX_JOINED_VERTICES",
    "MAX_VERTICES",
    "Bbox",
    "Region",
    "longitude_span",
    "parse_bbox",
    "parse_geojson",
    "parse_region",
    "read_region",
    "region_from_bbox",
    "region_from_bytes",
    "turns_between",
]
