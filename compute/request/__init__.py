"""NDVI request: a frozen, validated record with canonical JSON and query strings.

Importing this package does not import NumPy, because the command line builds its options from the record.
"""

from compute.request.field_table import RequestField, field_table
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
from compute.request.notation_kinds import parse_clear, parse_time
from compute.request.record import NdviRequest

__all__ = [
    "EXACT_RESAMPLINGS",
    "FIRST_DAY",
    "NATIVE",
    "Average",
    "Landsat7",
    "NdviRequest",
    "Reader",
    "RequestField",
    "Resampling",
    "Weight",
    "check_products",
    "field_table",
    "parse_clear",
    "parse_mask_filters",
    "parse_time",
]
