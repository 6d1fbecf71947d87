"""Field cases of masks: flags, bits, several masks, thresholds, valid nodata codes, averaging."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.field_cases.records import FieldCase, File, Ground
from tests.field_cases.shorthand import INDEX, LATER, NIR, PLAIN, RED, SENTINEL, ndvi, product, put, scene, seen

DJF = "2019-DJF"
BANDS = 'red = "red"\nnir = "nir"\n'

CONFIDENCE = {0: "none", 1: "low", 2: "medium", 3: "high"}
QUALITY = {
    "fill": {"bits": 0, "values": {0: False, 1: True}},
    "dilated": {"bits": 1, "values": {0: "not_dilated", 1: "dilated"}},
    "cloud": {"bits": 3, "values": {0: "not_sure", 1: "sure"}},
    "cloud_shadow": {"bits": 4, "values": {0: "not_sure", 1: "sure"}},
    "water": {"bits": 7, "values": {0: "land_or_cloud", 1: "water"}},
    "cloud_confidence": {"bits": [8, 9], "values": CONFIDENCE},
    "cirrus_confidence": {"bits": [14, 15], "values": CONFIDENCE},
}
"""Flags after those of Landsat's Collection 2."""

FMASK = {
    "fmask": {
        "bits": [0, 1, 2, 3, 4, 5, 6, 7],
        "values": {0: "nodata", 1: "valid", 2: "cloud", 3: "shadow", 4: "snow", 5: "water"},
    }
}

LOOKS = np.array([[0b000, 1 << 3, 1 << 4, 3 << 3], [1 << 7, 1 << 1, 1, 1 << 8]])
"""Nothing; cloud; shadow; both; water; dilated; fill; low confidence of cloud."""


def quality(**entry: Any) -> dict[str, Any]:
    """Return a product whose mask has the flags of `QUALITY`."""
    return product(qa={"dtype": "uint16", "nodata": 1, "flags_definition": QUALITY, **entry})


def make_mask_case(clear: str, codes: Any, name: str, why: str, holes: Any, **changes: Any) -> FieldCase:
    """Return a case of one scene whose mask has some codes; `holes` are the pixels that are not clear."""
    row = FieldCase(
        name=name,
        why=why,
        products=quality(),
        profile=f'{BANDS}mask = "qa"\nclear = {clear}\n',
        scenes=(scene(qa=codes),),
        expected={DJF: seen(but=dict.fromkeys(holes))},
    )
    return replace(row, **changes)


FLAGS = (
    make_mask_case(
        '["cloud.not_sure", "cloud_shadow.not_sure"]',
        LOOKS,
        "flags_are_joined_by_and",
        "values of different flags are joined by and, as datacube.utils.masking.make_mask does",
        [(0, 1), (0, 2), (0, 3), (1, 2)],
    ),
    make_mask_case(
        '["cloud_confidence.none", "cloud_confidence.low", "cloud.not_sure", "not_dilated"]',
        put(LOOKS, {(0, 2): 2 << 8, (0, 3): 3 << 8}),
        "values_of_a_flag_are_joined_by_or",
        "values of one flag are joined by or, and flags by and",
        [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)],
    ),
    make_mask_case(
        '["land_or_cloud", "cloud.not_sure"]',
        LOOKS,
        "names_that_one_flag_has",
        "a name that one flag alone has needs no flag before it",
        [(0, 1), (0, 3), (1, 0), (1, 2)],
    ),
    make_mask_case(
        '["cloud.not_sure", { bits = 4, value = 0 }, { bits = [8, 9], value = [0, 1, 2] }]',
        put(LOOKS, {(0, 0): 3 << 8, (1, 1): 2 << 8}),
        "names_and_bits",
        "names and conditions on bits may stand in one list, joined by and",
        [(0, 0), (0, 1), (0, 2), (0, 3), (1, 2)],
    ),
    make_mask_case(
        "[{ bits = [14, 15], value = [0, 1] }]",
        put(LOOKS, {(0, 0): 1 << 14, (0, 1): 2 << 14, (0, 3): 3 << 14, (1, 1): 1 << 15}),
        "confidence_in_the_highest_bits",
        "bits of one condition make a number, the least significant first",
        [(0, 1), (0, 3), (1, 1), (1, 2)],
    ),
    make_mask_case(
        '[{ any = ["water", { all = ["cloud.not_sure", "cloud_shadow.not_sure", { bits = [8, 9], value = 0 }] }] }]',
        put(LOOKS, {(0, 1): (1 << 7) | (1 << 3)}),
        "alternatives_of_joint_conditions",
        "{ any = [...] } and { all = [...] } nest",
        [(0, 2), (0, 3), (1, 2), (1, 3)],
    ),
    make_mask_case(
        "[0, 2, 136]",
        put(LOOKS, {(0, 3): 136}),
        "whole_codes",
        "integers are whole codes of the mask, any of which is clear",
        [(0, 1), (0, 2), (1, 0), (1, 2), (1, 3)],
    ),
    make_mask_case(
        '["valid", "water", 4]',
        [[1, 2, 3, 4], [5, 0, 1, 255]],
        "names_and_codes_of_a_class_band",
        "a mask that is one flag of all bits is a band of classes: names and codes of it are joined by or",
        [(0, 1), (0, 2), (1, 1), (1, 3)],
        products=product(qa={"nodata": 0, "flags_definition": FMASK}),
    ),
    make_mask_case(
        "[-1, { any = [-1, 3] }]",
        [[-1, 3, 1, -1], [-1, 0, -1, -1]],
        "codes_below_zero",
        "a signed mask has codes below zero",
        [(0, 1), (0, 2), (1, 1)],
        products=product(qa={"dtype": "int8", "nodata": 0}),
    ),
    make_mask_case(
        "[{ bits = 15, value = 1 }]",
        [[-32768, 1, -1, 0], [-2, -32767, 32767, -3]],
        "the_sign_is_a_bit",
        "bit 15 of int16 is its sign",
        [(0, 1), (0, 3), (1, 2)],
        products=product(qa={"dtype": "int16", "nodata": 0}),
    ),
    make_mask_case(
        "[{ bits = 20, value = 0 }, { bits = [30, 31], value = [0, 1] }]",
        [[0, 1 << 20, 1 << 30, 1 << 31], [3 << 30, 1 << 19, (1 << 20) - 1, 7]],
        "mask_of_32_bits",
        "masks may be of 32 bits",
        [(0, 1), (0, 3), (1, 0)],
        products=product(qa={"dtype": "uint32", "nodata": 2**32 - 1}),
    ),
    make_mask_case(
        "[1048577, 70000]",
        [[1048577, 1, 70000, 70001], [1048576, 4464, 1048577, 65536]],
        "codes_of_32_bits",
        "a code beyond 65535 is another one than its lowest 16 bits",
        [(0, 1), (0, 3), (1, 0), (1, 1), (1, 3)],
        products=product(qa={"dtype": "int32", "nodata": -1}),
    ),
    make_mask_case(
        '["cloud.no_such_level"]',
        LOOKS,
        "a_class_that_does_not_exist",
        "an unknown class is refused with those there are",
        [],
        expected={},
        refusal=("cloud.no_such_level", "cloud.not_sure"),
    ),
)

MEANINGFUL = {"cloud": {"bits": 1, "values": {0: False, 1: True}}, "water": {"bits": 5, "values": {0: False, 1: True}}}
NOTHING_FLAGGED = [[0, 2, 32, 0], [34, 0, 0, 32]]

MASK_NODATA = (
    make_mask_case(
        "",
        NOTHING_FLAGGED,
        "nodata_that_means_nothing_flagged",
        'nodata = "none": every value of the mask means something',
        [(0, 1), (1, 0)],
        products=product(qa={"nodata": 0, "flags_definition": MEANINGFUL}),
        profile=f'{BANDS}mask = {{ measurement = "qa", clear = [{{ bits = 1, value = 0 }}], nodata = "none" }}\n',
    ),
    make_mask_case(
        "[{ bits = 1, value = 0 }]",
        NOTHING_FLAGGED,
        "nodata_that_may_mean_nothing_flagged",
        "a definition whose mask has a clear code as nodata is ambiguous: the plan asks for nodata of the mask",
        [(0, 0), (0, 1), (0, 3), (1, 0), (1, 1), (1, 2)],
        products=product(qa={"nodata": 0, "flags_definition": MEANINGFUL}),
        says=("qa", "nodata", "none"),
    ),
    make_mask_case(
        "",
        [[1, 8, 1, 0], [16, 1, 0, 0]],
        "nodata_of_a_bit_mask_of_16_bits",
        'nodata = "none" of a mask whose fill is bit 0',
        [(0, 1)],
        profile=f'{BANDS}mask = {{ measurement = "qa", clear = ["cloud.not_sure"], nodata = "none" }}\n',
    ),
)

CLASSES = {"scl": {"dtype": "uint8", "nodata": 0}, "shadow": {"dtype": "uint8", "nodata": 255}}
PROBABILITY = {"probability": {"dtype": "uint8", "nodata": 255}}
LEVELS = [[0, 39, 40, 41], [100, 12, 255, 0]]

SEVERAL = (
    make_mask_case(
        "",
        [[4, 4, 5, 3], [4, 0, 5, 4]],
        "two_mask_bands",
        "of several masks all must be clear",
        [(0, 1), (0, 3), (1, 1), (1, 3)],
        products=product(qa={"nodata": 0}, **CLASSES),
        profile=f"""{BANDS}
mask = [{{ measurement = "qa", clear = [4, 5] }}, {{ measurement = "shadow", clear = [0] }}]
""",
        scenes=(
            scene(
                qa=[[4, 4, 5, 3], [4, 0, 5, 4]],
                bands={"shadow": [[0, 1, 0, 0], [0, 0, 0, 255]], "scl": np.full((2, 4), 7)},
            ),
        ),
    ),
    make_mask_case(
        "",
        [],
        "probability_below",
        "below excludes its bound; nodata of the probability is never clear",
        [(0, 2), (0, 3), (1, 0), (1, 2)],
        products=product(**PROBABILITY),
        profile=f'{BANDS}mask = {{ measurement = "probability", below = 40 }}\n',
        scenes=(scene(bands={"probability": LEVELS}),),
    ),
    make_mask_case(
        "",
        [],
        "probability_and_classes",
        "at_most includes its bound, and joins other masks by and",
        [(0, 0), (0, 3), (1, 0), (1, 2)],
        products=product(**PROBABILITY),
        profile=f"""{BANDS}
mask = [{{ measurement = "qa", clear = [1] }}, {{ measurement = "probability", at_most = 40 }}]
""",
        scenes=(scene(qa=[[2, 1, 1, 1], [1, 1, 1, 1]], bands={"probability": LEVELS}),),
    ),
    make_mask_case(
        "",
        [],
        "probability_as_float",
        "a probability band may be float32; NaN is not clear",
        [(0, 1), (0, 2), (0, 3), (1, 1)],
        products=product(clear_sky={"dtype": "float32", "nodata": -1.0}),
        profile=f'{BANDS}mask = {{ measurement = "clear_sky", above = 0.5 }}\n',
        scenes=(scene(bands={"clear_sky": [[0.9, 0.5, np.nan, -1.0], [0.51, 0.1, 1.0, 0.75]]}),),
    ),
    make_mask_case(
        "",
        [],
        "at_least",
        "at_least includes its bound",
        [(0, 1), (1, 1), (1, 0)],
        products=product(clear_sky={"dtype": "int32", "nodata": -2147483648}),
        profile=f'{BANDS}mask = {{ measurement = "clear_sky", at_least = 70000 }}\n',
        scenes=(scene(bands={"clear_sky": [[70000, 69999, 2**30, 70001], [-(2**31), 4464, 80000, 90000]]}),),
    ),
    make_mask_case(
        "",
        [],
        "blue_below",
        "a condition on the reflectance of a band",
        [(0, 0), (0, 1), (1, 3)],
        products=product(SENTINEL, blue={"dtype": "uint16", "nodata": 0, "scale_factor": 1e-4, "add_offset": -0.1}),
        profile=f"""{BANDS}
mask = [{{ measurement = "qa", clear = [1] }}, {{ measurement = "blue", reflectance_below = 0.3125 }}]
""",
        scenes=(scene(bands={"blue": [[4126, 9000, 4124, 1000], [500, 1, 3000, 0]]}),),
    ),
    make_mask_case(
        "",
        [],
        "red_above",
        "a condition on red itself, in reflectance as red is scaled",
        [(0, 0), (1, 3)],
        products=product(SENTINEL),
        profile="""
red = { measurement = "red", scale = 1e-4, offset = -0.05 }
nir = { measurement = "nir", scale = 1e-4, offset = -0.05 }
mask = [{ measurement = "qa", clear = [1] }, { measurement = "red", reflectance_above = 0.0705 }]
""",
        scenes=(scene(red=RED + 500, nir=NIR + 500, qa=[[1, 1, 1, 1], [1, 1, 1, 2]]),),
        expected={DJF: seen(but={(0, 0): None, (0, 1): None, (1, 3): None})},
    ),
    make_mask_case(
        "",
        [],
        "no_mask",
        'mask = "none": every valid pixel is clear, and no mask need be there',
        [(0, 1)],
        products={"": {"red": {"dtype": "int16", "nodata": -999}, "nir": {"dtype": "int16", "nodata": -999}}},
        profile=f'{BANDS}mask = "none"\n',
        scenes=(scene(qa=None, red=put(RED, {(0, 1): -999})),),
    ),
    make_mask_case(
        "",
        [],
        "one_table_for_two_products",
        "a table may be that of several products",
        [],
        products={"_a": product()[""], "_b": product()[""]},
        profile=f'[products."NAME_a, NAME_b"]\n{PLAIN}',
        scenes=(
            scene(product="_a"),
            scene("two", LATER, product="_b", properties={"eo:platform": "landsat-9"}, qa=[[1, 1, 1, 1], [2, 1, 1, 1]]),
        ),
        expected={DJF: seen(2, but={(1, 0): (1, INDEX[1, 0])})},
    ),
)

TEN = Ground(left=399_960.0, top=6_250_020.0, pixel=10.0, shape=(6, 6))
WIDE = Ground(left=399_960.0, top=6_250_020.0, pixel=30.0, shape=(2, 2))
LAND, CLOUD = (500, 3500), (6000, 7000)
CLOUDY = np.array(
    [
        [1, 1, 1, 3, 3, 3],
        [1, 1, 3, 3, 1, 1],
        [1, 1, 3, 1, 1, 1],
        [3, 3, 3, 1, 1, 1],
        [3, 1, 3, 1, 1, 1],
        [3, 3, 3, 1, 1, 1],
    ]
)
"""Seven of nine are clear in the north-west, five in the north-east, one in the south-west (its middle), all else."""

SHADES = np.arange(36).reshape(6, 6) * 10
RED10, NIR10 = (np.where(CLOUDY == 3, cloud, land + SHADES) for land, cloud in zip(LAND, CLOUD, strict=True))


def make_averaged_case(name: str, why: str, **changes: Any) -> FieldCase:
    """Return a case of 10 m pixels averaged to 30 m."""
    row = FieldCase(
        name=name,
        why=why,
        products=product(),
        profile=PLAIN,
        scenes=(scene(ground=TEN, red=RED10, nir=NIR10, qa=CLOUDY),),
        request={"crs": "EPSG:32756", "resolution": "30"},
        ground=WIDE,
    )
    return replace(row, **changes)


def compute_pixel_means(pixels: Any, red: Any = RED10, nir: Any = NIR10) -> Any:
    """Return the NDVI of the mean red and mean nir of selected pixels among 36, for each of four output pixels."""
    found = np.full((2, 2), np.nan)
    for at in np.ndindex(2, 2):
        part = tuple(slice(3 * place, 3 * place + 3) for place in at)
        if pixels[part].any():
            found[at] = ndvi(red[part][pixels[part]].mean(), nir[part][pixels[part]].mean())
    return found


SATURATED = put(np.full((6, 6), 1000), {(0, 0): 16000})
HOLE = put(RED10, {(4, 4): -999, (3, 3): -999})

AVERAGES = (
    make_averaged_case(
        "mean_of_what_is_clear",
        "each source pixel is judged by its own mask pixel; half of an output pixel must be clear",
        expected={DJF: seen(mean=compute_pixel_means(CLOUDY == 1), but={(1, 0): None})},
    ),
    make_averaged_case(
        "mean_of_all_under_a_clear_centre",
        "--average all: the mask at the centre of the output pixel, everything that has data averaged",
        request={"crs": "EPSG:32756", "resolution": "30", "average": "all"},
        expected={DJF: seen(mean=compute_pixel_means(CLOUDY < 9))},
    ),
    make_averaged_case(
        "least_area_of_a_tenth",
        "--min-area 0.1: one of nine source pixels is enough",
        request={"crs": "EPSG:32756", "resolution": "30", "min_area": "0.1"},
        expected={DJF: seen(mean=compute_pixel_means(CLOUDY == 1))},
    ),
    make_averaged_case(
        "least_area_of_all",
        "--min-area 1: all nine source pixels must be clear",
        request={"crs": "EPSG:32756", "resolution": "30", "min_area": "1"},
        expected={DJF: seen(mean=compute_pixel_means(CLOUDY == 1), but={(0, 0): None, (0, 1): None, (1, 0): None})},
    ),
    make_averaged_case(
        "range_before_the_mean",
        "the valid range is applied to stored values before they are averaged, and to both bands alike",
        profile="""
red = { measurement = "red", scale = 1e-4, valid = [1, 10000] }
nir = { measurement = "nir", scale = 1e-4, valid = [1, 10000] }
mask = "qa"
clear = [1]
""",
        scenes=(scene(ground=TEN, red=SATURATED, nir=put(np.full((6, 6), 3000), {(0, 0): 9000}), qa=np.ones((6, 6))),),
        expected={DJF: seen(mean=np.full((2, 2), 0.5))},
    ),
    make_averaged_case(
        "one_band_missing",
        "red and nir average the same source pixels",
        scenes=(scene(ground=TEN, red=HOLE, nir=NIR10, qa=CLOUDY),),
        expected={DJF: seen(mean=compute_pixel_means((CLOUDY == 1) & (HOLE != -999)), but={(1, 0): None})},
    ),
    make_averaged_case(
        "mask_of_20_m_over_bands_of_10_m",
        "each 10 m pixel is judged by the 20 m pixel that it lies in",
        scenes=(scene(ground=TEN, red=RED10, nir=NIR10, qa=File(values=[[1, 1, 3], [1, 3, 3], [1, 1, 1]], zoom=2)),),
        expected={
            DJF: seen(
                mean=compute_pixel_means(np.kron([[1, 1, 3], [1, 3, 3], [1, 1, 1]], np.ones((2, 2))) == 1),
                but={(0, 1): None},
            )
        },
    ),
    make_averaged_case(
        "two_rows_share_an_output_pixel",
        "of two rows of one day the first that has enough clear area wins an output pixel for all bands",
        scenes=(
            scene(ground=TEN, red=RED10, nir=NIR10, qa=CLOUDY),
            scene(
                "row_2",
                "2019-01-05T23:51:32Z",
                ground=TEN,
                red=RED10 + 100,
                nir=NIR10 + 100,
                qa=np.ones((6, 6)),
                properties={"odc:region_code": "089084"},
            ),
        ),
        expected={
            DJF: seen(
                mean=np.where(
                    [[True, True], [False, True]],
                    compute_pixel_means(CLOUDY == 1),
                    compute_pixel_means(CLOUDY < 9, RED10 + 100, NIR10 + 100),
                )
            )
        },
    ),
)

CASES = (*FLAGS, *MASK_NODATA, *SEVERAL, *AVERAGES)
