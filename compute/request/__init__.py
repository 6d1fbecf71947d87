"""The request: one frozen, validated record with a canonical JSON form and a query-string form."""

from compute.request.field_parsing import parse_clear, parse_index_range, parse_region, parse_time, parse_valid_range
from compute.request.field_values import (
    EXACT_RESAMPLINGS,
    FIRST_DAY,
    NATIVE,
    Average,
    Landsat7,
    Reader,
    Resampling,
    Weight,
    check_products,
)
from compute.request.mask_filters import parse_mask_filters
from compute.request.record import NdviRequest

__all__ = [
    "EXACT_RESAMPLINGS",
    "FIRST_DAY",
    "NATIVE",
    "Average",
    "Landsat7",
    "NdviRequest",
    "Reader",
    "Resampling",
    "Weight",
    "check_products",
    "parse_clear",
    "parse_index_range",
    "parse_mask_filters",
    "parse_region",
    "parse_time",
    "parse_valid_range",
]
