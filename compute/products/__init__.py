"""Product descriptions: measurement roles, scaling, valid ranges and clear rules.

A *definition* is the ODC product document in the index, with measurements, types, nodata and flags. A *profile* is a
table of ``products.toml``, which selects, for example, the red measurement and the clear classes. `resolve_roles`
combines both into `Roles`, which is sent to the workers with each task.
"""

from compute.products.class_filters import MaskFilter
from compute.products.definition import Measurement, ProductDefinition
from compute.products.descriptions import describe_roles
from compute.products.exclusion_reasons import CLEAR, exclusion_reasons, filter_verdicts, mask_verdicts, pixel_verdicts
from compute.products.harmonisation import CITATION, HARMONISED_SENSORS, HarmonisationMethod, Sensor
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
from compute.products.role_resolution import DISCONTIGUOUS, ValidRange, resolve_roles
from compute.products.roles import BandRole, Condition, RangeRole, Roles
from compute.products.scaling import Scaling
from compute.products.scene_offsets import OffsetRule, Properties

__all__ = [
    "CITATION",
    "CLEAR",
    "DISCONTIGUOUS",
    "HARMONISED_SENSORS",
    "BandProfile",
    "BandRole",
    "BitsProfile",
    "ClearClass",
    "Condition",
    "HarmonisationMethod",
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
    "Scaling",
    "Sensor",
    "ThresholdProfile",
    "ValidRange",
    "describe_roles",
    "exclusion_reasons",
    "filter_verdicts",
    "load_profiles",
    "mask_verdicts",
    "pixel_verdicts",
    "resolve_roles",
    "shipped_profiles",
]
