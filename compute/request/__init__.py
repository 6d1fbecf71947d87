"""The request: one frozen, validated record with a canonical JSON form and a query-string form.

Importing it imports no NumPy, as the command line makes its options from the record.
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
