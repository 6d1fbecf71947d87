"""Harmonisation of reflectance between Landsat sensors with published coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from compute.errors import InputError
from compute.products.roles import BandRole, Roles

Sensor = Literal["tm", "etm+", "oli", "msi"]
"""Instruments of Landsat 4 and 5 (TM), 7 (ETM+), 8 and 9 (OLI), and of Sentinel-2 (MSI)."""

HarmonisationMethod = Literal["none", "roy2016"]
"""Method of harmonisation: ``"none"``, or ``"roy2016"`` for the coefficients in `ROY_2016`."""

HARMONISED_SENSORS: tuple[Sensor, ...] = ("tm", "etm+")
"""Sensors that `ROY_2016` converts to OLI."""

ROY_2016: Mapping[str, tuple[float, float]] = {"red": (0.9047, 0.0061), "nir": (0.8462, 0.0412)}
"""Slope and intercept of the regression (ordinary least squares) from ETM+ to OLI surface reflectance.

The coefficients were derived from scenes of the United States by Roy et al. (2016), Characterization of Landsat-7 to
Landsat-8 reflective wavelength and normalized difference vegetation index continuity, Remote Sensing of Environment
185, 57-70, doi 10.1016/j.rse.2015.12.024 (also PMC6999663). They are commonly applied to TM as well, whose bands equal
those of ETM+; see the tutorial "Landsat ETM+ to OLI Harmonization" of the Google Earth Engine community. The tutorial
now advises against harmonisation of USGS Collection 2 surface reflectance, and the effect on other products is unknown.
Harmonisation is therefore off by default.
"""

CITATION = "Roy et al. 2016, doi 10.1016/j.rse.2015.12.024"
"""Short citation of `ROY_2016`."""


def harmonise_roles(roles: Roles, harmonise: HarmonisationMethod) -> Roles:
    """Convert the reflectance of TM and ETM+ to that of OLI.

    Harmonisation and scaling are both linear, so only gain and bias change. Nodata and valid ranges refer to values
    before harmonisation, and are kept.

    Parameters
    ----------
    roles : Roles
        Roles of one product.
    harmonise : {"none", "roy2016"}
        Method of harmonisation.

    Returns
    -------
    Roles
        Roles with adjusted gain and bias; unchanged for other sensors and for ``"none"``.

    Raises
    ------
    InputError
        The profile of the product names no sensor, or a band is stored as integers without a scale.
    """
    if harmonise == "none":
        return roles
    if not roles.sensor:
        raise InputError(
            "harmonise",
            f"The sensor of {roles.product} is not described; name it in a products file (tm, etm+, oli or msi), "
            "or leave --harmonise out.",
        )
    if roles.sensor not in HARMONISED_SENSORS:
        return roles
    red, nir = (_convert_to_oli(band, name, roles.product) for name, band in (("red", roles.red), ("nir", roles.nir)))
    return replace(roles, red=red, nir=nir)


def _convert_to_oli(band: BandRole, name: str, product: str) -> BandRole:
    if band.scale == 1.0 and np.issubdtype(np.dtype(band.dtype), np.integer):
        raise InputError(
            "harmonise",
            f"The {name} of {product} is stored as {band.dtype} without a scale, which is not reflectance; "
            "give its scale in a products file, or leave --harmonise out.",
        )
    slope, intercept = ROY_2016[name]
    return replace(band, gain=slope, bias=intercept)
