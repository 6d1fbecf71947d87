"""Classes of NDVI: the same for statistics, PNG, page and Datashader, for every value that there can be."""

from __future__ import annotations

import io
from itertools import combinations, pairwise

import numpy as np
import pytest
import xarray as xr
from datashader import transfer_functions
from numpy.typing import NDArray
from PIL import Image

from compute.errors import InputError
from compute.kernels import LARGEST, NEVER_CLEAR, NOT_COMPUTED, OUTSIDE, TOO_FEW
from compute.result.ndvi_classes import CLASSES
from compute.statistics.distributions import AreaDistribution, describe
from compute.tiles.png_encoding import png
from compute.tiles.styles import Style, hex_colours
from dashboard.views.map_legend import legend_html
from tests.compute.tiles.test_tiles import DEUTERANOPE, PROTANOPE

pytestmark = pytest.mark.unit

CLASSED = Style(palette="classes")
EVERY_VALUE = np.resize(np.arange(-LARGEST, LARGEST + 1, dtype=np.int16), (256, 256))
WANTED = np.digitize(EVERY_VALUE, [0, 2000, 4000, 6000, 8000])
"""Position of the class of each."""


def drawn(values: NDArray[np.int16]) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png(values, CLASSED))) as picture:
        return np.asarray(picture.convert("RGBA"))


def rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def test_a_picture_has_the_colour_of_the_class_and_no_other() -> None:
    colours = np.array([(*rgb(each.colour), 255) for each in CLASSES])
    np.testing.assert_array_equal(drawn(EVERY_VALUE), colours[WANTED])


def test_the_page_draws_what_a_picture_does() -> None:
    # As values.js reckons, in the same 64 bits.
    (low, high), colours = CLASSED.ends, hex_colours(CLASSED)
    share = (EVERY_VALUE * 1e-4 + 0.0 - low) / (high - low)
    number = np.floor(share.clip(0, 1) * (len(colours) - 1) + 0.5).astype(int)
    np.testing.assert_array_equal(np.array([rgb(each) for each in colours])[number], drawn(EVERY_VALUE)[..., :3])


def test_datashader_shades_the_categories_alike() -> None:
    names = [each.name for each in CLASSES]
    pixels = (WANTED[..., np.newaxis] == np.arange(len(names))).astype(np.uint32)
    categories = xr.DataArray(pixels, coords={"class": names}, dims=("y", "x", "class"))
    shaded = transfer_functions.shade(categories, color_key={each.name: each.colour for each in CLASSES}, how="linear")
    np.testing.assert_array_equal(shaded.data.view(np.uint8).reshape(256, 256, 4), drawn(EVERY_VALUE))


def test_statistics_count_in_the_class_that_is_drawn() -> None:
    for place in range(len(CLASSES)):
        held = EVERY_VALUE[place == WANTED]
        numbers = describe(AreaDistribution.from_pixels(held * 1e-4, np.full(held.size, 1e4), float(held.size)))
        areas = {each["name"]: each["area_ha"] for each in numbers["classes"]}
        assert areas == {each.name: float(held.size) if each is CLASSES[place] else 0.0 for each in CLASSES}


def test_classes_leave_no_gap() -> None:
    assert CLASSES[0].low is None
    assert CLASSES[-1].below is None
    assert all(each.below == following.low for each, following in pairwise(CLASSES))


def test_codes_are_of_no_class() -> None:
    values = np.array([[NEVER_CLEAR, OUTSIDE, NOT_COMPUTED, TOO_FEW]], np.int16).repeat(16, 0).repeat(16, 1)
    colours = {rgb(each.colour) for each in CLASSES}
    assert not colours & set(map(tuple, drawn(values)[..., :3].reshape(-1, 3).tolist()))


@pytest.mark.parametrize("sight", [np.eye(3), DEUTERANOPE, PROTANOPE], ids=["all cones", "deuteranope", "protanope"])
def test_any_two_classes_can_be_told_apart(sight: NDArray[np.float64]) -> None:
    seen = lab(np.array([rgb(each.colour) for each in CLASSES]), sight)
    # Of CIELAB; 2 or 3 are just seen where two colours touch.
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 12


def lab(colours: NDArray[np.int64], sight: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB (n, 3) of sRGB (n, 3), https://www.w3.org/TR/css-color-4/#color-conversion-code, under D65."""
    coded = colours / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(linear @ sight.T, 0, 1) @ to_xyz.T / to_xyz.sum(axis=1)).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize(
    "query", [{"span": "0,1"}, {"reverse": "1"}, {"span": "-0.1,0.8"}], ids=["span", "reverse", "another"]
)
def test_classes_have_neither_span_nor_direction(query: dict[str, str]) -> None:
    with pytest.raises(InputError, match="leave span and reverse out"):
        Style.from_query({"palette": "classes"} | query, "ndvi_mean")


def test_counts_have_no_classes() -> None:
    with pytest.raises(InputError, match="Classes are of ndvi_mean"):
        Style.from_query({"palette": "classes"}, "clear_count")


def test_the_legend_names_every_class_with_its_borders_and_no_span() -> None:
    legend = legend_html("ndvi_mean", "classes", (-0.3, 0.7))
    for words in ("water, snow</span><span>&lt; 0<", "bare</span><span>0&ndash;0.2<", "very dense</span><span>≥ 0.8<"):
        assert words in legend
    assert all(f"background:{each.colour}" in legend for each in CLASSES)
    assert "0.7" not in legend
    counts = legend_html("clear_count", "classes", (-0.3, 0.7))
    assert "very dense" not in counts
    assert "clear observations" in counts
