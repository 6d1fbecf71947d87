"""Harmonisation of reflectance between Landsat sensors, by published coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from compute.errors import InputError
from compute.products.roles import BandRole, Roles

Sensor = Literal["tm", "etm+", "oli", "msi"]
"""Instruments of Landsat 4 and 5 (TM), 7 (ETM+), 8 and 9 (OLI), and of Sentinel-2 (MSI)."""

Harmonise = Literal["none", "roy2016"]
"""What makes several sensors one: nothing, or the coefficients of `ROY_2016`."""

HARMONISED: tuple[Sensor, ...] = ("tm", "etm+")
"""Sensors that `ROY_2016` turns into OLI."""

ROY_2016: Mapping[str, tuple[float, float]] = {"red": (0.9047, 0.0061), "nir": (0.8462, 0.0412)}
"""Slope and intercept by which surface reflectance of ETM+ becomes that of OLI, by ordinary least squares.

Roy et al. (2016), Characterization of Landsat-7 to Landsat-8 reflective wavelength and normalized difference vegetation
index continuity, Remote Sensing of Environment 185, 57-70, doi 10.1016/j.rse.2015.12.024 (also PMC6999663), from scenes
over the United States. That they serve TM as well, whose bands are those of ETM+, is common practice: see "Landsat ETM+
to OLI Harmonization" among Earth Engine's community tutorials, which by now advises against them for the Collection 2
surface reflectance of the USGS. What they do to other processings is not known, so nothing is harmonised unasked.
"""

CITATION = "Roy et al. 2016, doi 10.1016/j.rse.2015.12.024"
"""Where `ROY_2016` comes from, in short."""


def harmonised(roles: Roles, harmonise: Harmonise) -> Roles:
    """Turn the reflectance of TM and ETM+ into that of OLI.

    The coefficients are linear in reflectance, and so is reflectance in stored values: only gain and bias change. Valid
    ranges and nodata stay, since they are of what is stored.

    Parameters
    ----------
    roles : Roles
        Of one product.
    harmonise : {"none", "roy2016"}
        As asked.

    Returns
    -------
    Roles
        The same for other sensors and where nothing is asked for.

    Raises
    ------
    InputError
        The product's sensor is not described, or its stored values do not become reflectance.
    """
    if harmonise == "none":
        return roles
    if not roles.sensor:
        raise InputError(
            "harmonise",
            f"The sensor of {roles.product} is not described; name it in a products file (tm, etm+, oli or msi), "
            "or leave --harmonise out.",
        )
    if roles.sensor not in HARMONISED:
        return roles
    red, nir = (_as_oli(band, name, roles.product) for name, band in (("red", roles.red), ("nir", roles.nir)))
    return replace(roles, red=red, nir=nir)


def _as_oli(band: BandRole, name: str, product: str) -> BandRole:
    if band.scale == 1.0 and np.issubdtype(np.dtype(band.dtype), np.integer):
        raise InputError(
            "harmonise",
            f"The {name} of {product} is stored as {band.dtype} without a scale, which is no reflectance; "
            "give its scale in a products file, or leave --harmonise out.",
        )
    slope, intercept = ROY_2016[name]
    return replace(band, gain=slope, bias=intercept)
