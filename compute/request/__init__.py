"""What is asked for: one frozen, validated record with a canonical JSON form and a query-string form."""

from compute.request.record import NdviRequest
from compute.request.text import parse_clear, parse_region, parse_time, parse_valid_range
from compute.request.values import NATIVE, Reader, Resampling

__all__ = [
    "NATIVE",
    "NdviRequest",
    "Reader",
    "Resampling",
    "parse_clear",
    "parse_region",
    "parse_time",
    "parse_valid_range",
]
