"""Roles, scaling, valid ranges and clear rules of a product's measurements, described by data.

A *definition* is what the index says of a product (measurements, types, nodata, flags). A *profile* is what
``products.toml`` says of it (which measurement is red, which classes are clear). `resolve` joins the two into
`Roles`, the record that tasks carry.
"""

from compute.products.class_filters import MaskFilter
from compute.products.definition import Measurement, ProductDefinition
from compute.products.descriptions import describe_roles
from compute.products.exclusion_reasons import CLEAR, cover_verdicts, reasons_of, verdicts, verdicts_of_pixels
from compute.products.harmonisation import CITATION, HARMONISED, Harmonise, Sensor
from compute.products.mask_role import MaskRole
from compute.products.profile import (
    BandProfile,
    BitsProfile,
    ClearClass,
    MaskProfile,
    ProductProfile,
    ThresholdProfile,
)
from compute.products.profile_files import load_profiles, shipped_profiles
from compute.products.role_resolution import DISCONTIGUOUS, ValidRange, resolve
from compute.products.roles import BandRole, Condition, RangeRole, Roles
from compute.products.scaling import OffsetRule, Properties, Stated

__all__ = [
    "CITATION",
    "CLEAR",
    "DISCONTIGUOUS",
    "HARMONISED",
    "BandProfile",
    "BandRole",
    "BitsProfile",
    "ClearClass",
    "Condition",
    "Harmonise",
    "MaskFilter",
    "MaskProfile",
    "MaskRole",
    "Measurement",
    "OffsetRule",
    "ProductDefinition",
    "ProductProfile",
    "Properties",
    "RangeRole",
    "Roles",
    "Sensor",
    "Stated",
    "ThresholdProfile",
    "ValidRange",
    "cover_verdicts",
    "describe_roles",
    "load_profiles",
    "reasons_of",
    "resolve",
    "shipped_profiles",
    "verdicts",
    "verdicts_of_pixels",
]
