"""Field cases of stored values: scale, offset, nodata, data types, valid ranges."""

from __future__ import annotations

import numpy as np

from tests.field_cases.records import FieldCase, File
from tests.field_cases.shorthand import (
    INDEX,
    LATER,
    NIR,
    PLAIN,
    RED,
    SENTINEL,
    TIME,
    floats,
    ndvi,
    product,
    put,
    scene,
    seen,
)

SCALED = {"scale_factor": 1e-4, "add_offset": -0.1}
TIMES_1E4 = """
red = { measurement = "red", scale = 1e-4 }
nir = { measurement = "nir", scale = 1e-4 }
mask = "qa"
clear = [1]
"""
MSI = {"eo:platform": "sentinel-2a", "odc:region_code": "56HLH"}
THIRD = "2019-02-06T23:51:08Z"
DJF = "2019-DJF"


RULE = 'offset = { by = "processing_baseline", from = "04.00", offset = -0.1, unless = "boa_offset_applied" }'


def raised(**properties: object) -> dict[str, object]:
    return MSI | properties


SCALES = (
    FieldCase(
        name="scale_of_the_definition",
        why="ODC product definitions: real value = stored * scale_factor + add_offset",
        products=product(SENTINEL, red=SCALED, nir=SCALED),
        profile=PLAIN,
        scenes=(scene(red=RED + 1000, nir=NIR + 1000),),
        expected={DJF: seen()},
    ),
    FieldCase(
        name="offset_of_one_band",
        why="ODC product definitions state each measurement by itself",
        products=product(SENTINEL, red={"scale_factor": 1e-4}, nir=SCALED),
        profile=PLAIN,
        scenes=(scene(nir=NIR + 1000),),
        expected={DJF: seen()},
    ),
    FieldCase(
        name="scale_of_the_document",
        why="what a document states is nearer to the pixel than its product",
        products=product(SENTINEL, red={"scale_factor": 1e-4, "add_offset": -0.3}, nir=SCALED),
        profile=PLAIN,
        scenes=(
            scene(
                red=File(values=RED + 2000, entry={"scale_factor": 1e-4, "add_offset": -0.2}),
                nir=File(values=NIR + 2000, entry={"scale": 1e-4, "offset": -0.2}),
            ),
        ),
        expected={DJF: seen()},
    ),
    FieldCase(
        name="scale_of_the_file",
        why="GDAL's band scale and offset are nearest to the pixel",
        products=product(SENTINEL, red=SCALED, nir=SCALED),
        profile=TIMES_1E4,
        scenes=(
            scene(
                red=File(values=2 * RED + 500, scale=5e-5, offset=-0.025, entry={"offset": -0.4, "scale": 1e-4}),
                nir=File(values=4 * NIR + 800, scale=2.5e-5, offset=-0.02),
            ),
            scene("untagged", LATER, red=RED + 1000, nir=NIR + 1000),
        ),
        expected={DJF: seen(2)},
    ),
    FieldCase(
        name="scale_by_override",
        why="with override = true, products.toml wins over file, document and definition",
        products=product(SENTINEL, red=SCALED, nir=SCALED),
        profile="""
red = { measurement = "red", scale = 1e-3, offset = -0.05, override = true }
nir = { measurement = "nir", scale = 1e-3, offset = -0.05, override = true }
mask = "qa"
clear = [1]
""",
        scenes=(
            scene(
                red=File(values=RED + 50, scale=2e-4, offset=0.3),
                nir=File(values=NIR + 50, entry={"scale": 2e-4, "offset": 0.3}),
            ),
        ),
        expected={DJF: seen()},
    ),
    FieldCase(
        name="contradiction_is_said",
        why="two statements that contradict each other are said, whichever is used",
        products=product(SENTINEL, red=SCALED, nir=SCALED),
        profile="""
red = { measurement = "red", scale = 1e-4, offset = 0.05 }
nir = { measurement = "nir", scale = 1e-4, offset = 0.05 }
mask = "qa"
clear = [1]
""",
        scenes=(scene(red=RED + 1000, nir=NIR + 1000),),
        expected={DJF: seen()},
        says=("offset", "-0.1", "0.05"),
    ),
)

OFFSETS = (
    FieldCase(
        name="offset_by_applied_flag",
        why="Sentinel-2 from baseline 04.00 on is stored 1000 higher, unless boa_offset_applied is true",
        products=product(SENTINEL),
        profile=TIMES_1E4,
        scenes=(
            scene(properties=raised(**{"sentinel:processing_baseline": "02.14"})),
            scene(
                "raised",
                LATER,
                red=RED + 1000,
                nir=NIR + 1000,
                properties=raised(**{"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": False}),
            ),
            scene(
                "lowered",
                THIRD,
                properties=raised(**{"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": True}),
            ),
        ),
        expected={DJF: seen(3)},
    ),
    FieldCase(
        name="offset_of_earthsearch_items",
        why="earthsearch:boa_offset_applied means the same as sentinel:boa_offset_applied",
        products=product(SENTINEL),
        profile=TIMES_1E4,
        scenes=(
            scene(
                red=RED + 1000,
                nir=NIR + 1000,
                properties=raised(**{"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}),
            ),
            scene(
                "lowered",
                LATER,
                properties=raised(**{"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}),
            ),
        ),
        expected={DJF: seen(2)},
    ),
    FieldCase(
        name="offset_by_baseline_s2_l2a",
        why="without a flag the processing baseline says it, 04.00 the first with an offset",
        products=product(SENTINEL),
        profile=TIMES_1E4,
        scenes=(
            scene(properties=raised(**{"s2:processing_baseline": "03.01"})),
            scene(
                "first", LATER, red=RED + 1000, nir=NIR + 1000, properties=raised(**{"s2:processing_baseline": "04.00"})
            ),
            scene(
                "late", THIRD, red=RED + 1000, nir=NIR + 1000, properties=raised(**{"s2:processing_baseline": "05.10"})
            ),
        ),
        expected={DJF: seen(3)},
    ),
    FieldCase(
        name="offset_by_rule_of_the_profile",
        why="products.toml says how the offset follows from properties of a document",
        products=product(SENTINEL),
        profile="".join(f'{name} = {{ measurement = "{name}", scale = 1e-4, {RULE} }}\n' for name in ("red", "nir"))
        + 'mask = "qa"\nclear = [1]\n',
        scenes=(
            scene(properties=raised(**{"s2:processing_baseline": "03.01"})),
            scene(
                "raised",
                LATER,
                red=RED + 1000,
                nir=NIR + 1000,
                properties=raised(**{"s2:processing_baseline": "04.00"}),
            ),
            scene(
                "lowered",
                THIRD,
                properties=raised(**{"s2:processing_baseline": "05.10", "s2:boa_offset_applied": True}),
            ),
        ),
        expected={DJF: seen(3)},
    ),
    FieldCase(
        name="offset_of_a_file_before_its_flag",
        why="the tag of a file is nearer to the pixel than a property of its document",
        products=product(SENTINEL),
        profile=TIMES_1E4,
        scenes=(
            scene(
                red=File(values=RED + 300, scale=1e-4, offset=-0.03),
                nir=File(values=NIR + 300, scale=1e-4, offset=-0.03),
                properties=raised(**{"s2:processing_baseline": "05.10", "s2:boa_offset_applied": False}),
            ),
        ),
        expected={DJF: seen()},
    ),
)

NODATA = (
    FieldCase(
        name="nodata_of_a_file",
        why="the tag of a file wins, the definition counts where there is none, as in dc.load",
        products=product(),
        profile=PLAIN,
        scenes=(
            scene(
                red=File(values=put(RED, {(0, 2): -32768}), nodata=-32768),
                nir=File(values=put(NIR, {(0, 2): -32768}), nodata=-32768),
            ),
            scene("untagged", LATER, red=put(RED, {(1, 0): -999}), nir=put(NIR, {(1, 0): -999})),
        ),
        expected={DJF: seen(2, but={(0, 2): (1, INDEX[0, 2]), (1, 0): (1, INDEX[1, 0])})},
    ),
    FieldCase(
        name="nodata_of_one_file",
        why="each file of a scene has a tag of its own",
        products=product(),
        profile=PLAIN,
        scenes=(
            scene(
                red=File(values=put(RED, {(0, 0): 0, (0, 1): -999}), nodata=0),
                nir=put(NIR, {(1, 1): -999, (0, 1): -999}),
            ),
        ),
        # -999 is a valid value in a file whose nodata tag is 0, but the other band has nodata there.
        expected={DJF: seen(but={(0, 0): None, (0, 1): None, (1, 1): None})},
    ),
    FieldCase(
        name="nodata_of_the_document",
        why="what a document states is nearer to the pixel than its product",
        products=product(),
        profile=PLAIN,
        scenes=(
            scene(
                red=File(values=put(RED, {(0, 3): -1}), entry={"nodata": -1}),
                nir=File(values=put(NIR, {(1, 3): -1}), entry={"nodata": -1}),
            ),
        ),
        expected={DJF: seen(but={(0, 3): None, (1, 3): None})},
    ),
    FieldCase(
        name="nodata_by_override",
        why="with override = true, products.toml wins over file and definition",
        products=product(),
        profile="""
red = { measurement = "red", nodata = -7, override = true }
nir = { measurement = "nir", nodata = -7, override = true }
mask = "qa"
clear = [1]
""",
        scenes=(
            scene(red=put(RED, {(0, 0): -7, (0, 1): -999})),
            scene("tagged", LATER, red=File(values=put(RED, {(1, 1): -7, (1, 2): -8}), nodata=-8)),
        ),
        expected={
            DJF: seen(
                2,
                but={
                    (0, 0): (1, INDEX[0, 0]),
                    (0, 1): (2, (ndvi(-999, 3900) + INDEX[0, 1]) / 2),
                    (1, 1): (1, INDEX[1, 1]),
                    (1, 2): (2, (ndvi(-8, 2400) + INDEX[1, 2]) / 2),
                },
            )
        },
    ),
    FieldCase(
        name="nodata_that_the_type_cannot_hold",
        why="nodata is compared in the type of the file: 64537 is not -999",
        products=product(),
        profile=PLAIN,
        scenes=(
            scene(
                red=File(values=put(RED, {(0, 0): 64537}), dtype="uint16"),
                nir=File(values=put(NIR, {(0, 1): 64537}), dtype="uint16"),
            ),
        ),
        expected={DJF: seen(but={(0, 0): (1, ndvi(64537, 4200)), (0, 1): (1, ndvi(700, 64537))})},
    ),
    FieldCase(
        name="fill_of_float32",
        why="-3.4e38 as float32 is not -3.4e38 as a double; IEEE 754",
        products=floats(nodata=-3.4e38),
        profile=PLAIN,
        scenes=(scene(red=put(RED, {(1, 2): -3.4e38}), nir=put(NIR, {(1, 2): -3.4e38})),),
        expected={DJF: seen(but={(1, 2): None})},
    ),
    FieldCase(
        name="fill_of_a_tenth",
        why="0.1 as float32 is not 0.1 as a double",
        products=floats(nodata=0.1),
        profile=PLAIN,
        scenes=(scene(nir=put(NIR, {(0, 3): 0.1})),),
        expected={DJF: seen(but={(0, 3): None})},
    ),
    FieldCase(
        name="fill_beyond_float32",
        why="-1.797e308 in a float32 file is minus infinity: no index of it is defined",
        products=floats(nodata=-1.7976931348623157e308),
        profile=PLAIN,
        scenes=(scene(red=put(RED, {(0, 1): -np.inf}), nir=put(NIR, {(0, 1): -np.inf})),),
        expected={DJF: seen(but={(0, 1): None})},
    ),
    FieldCase(
        name="nan_whatever_nodata_is",
        why="NaN is never an observation, whatever value is said to be nodata",
        products=floats(nodata=-999.0),
        profile=PLAIN,
        scenes=(scene(red=put(RED, {(0, 0): np.nan}), nir=put(NIR, {(1, 3): -999.0, (1, 1): np.nan})),),
        expected={DJF: seen(but={(0, 0): None, (1, 3): None, (1, 1): None})},
    ),
)

TYPES = (
    FieldCase(
        name="files_of_other_types",
        why="values are those in the file, whatever type the definition says; never wrapped",
        products=product(),
        profile=PLAIN,
        scenes=(
            scene(red=File(values=RED, dtype="uint16"), nir=File(values=put(NIR, {(0, 0): 50000}), dtype="uint16")),
            scene(
                "float32",
                LATER,
                red=File(values=put(RED, {(0, 1): np.nan}), dtype="float32"),
                nir=File(values=NIR, dtype="float32"),
            ),
        ),
        expected={DJF: seen(2, but={(0, 0): (2, (ndvi(600, 50000) + INDEX[0, 0]) / 2), (0, 1): (1, INDEX[0, 1])})},
    ),
    FieldCase(
        name="files_of_wider_types",
        why="int32 and float64 hold what int16 cannot",
        products=product(),
        profile=PLAIN,
        scenes=(
            scene(red=File(values=RED * 100, dtype="int32"), nir=File(values=NIR * 100, dtype="int32")),
            scene(
                "float64", LATER, red=File(values=RED / 7, dtype="float64"), nir=File(values=NIR / 7, dtype="float64")
            ),
        ),
        expected={DJF: seen(2)},
    ),
    FieldCase(
        name="files_of_8_bits",
        why="uint8 has values above 127",
        products=product(),
        profile=PLAIN,
        scenes=(scene(red=File(values=RED // 20, dtype="uint8"), nir=File(values=NIR // 20, dtype="uint8")),),
        expected={DJF: seen()},
    ),
    FieldCase(
        name="mask_of_a_wider_type",
        why="class 257 in a file of 16 bits is not class 1",
        products=product(),
        profile=PLAIN,
        scenes=(scene(qa=File(values=[[1, 257, 1, 1], [513, 1, 2, 1]], dtype="uint16")),),
        expected={DJF: seen(but={(0, 1): None, (1, 0): None, (1, 2): None})},
    ),
    FieldCase(
        name="red_and_nir_of_two_types",
        why="each file has a type of its own",
        products=product(),
        profile=PLAIN,
        scenes=(scene(red=File(values=RED, dtype="int32"), nir=File(values=NIR + 0.5, dtype="float32")),),
        expected={DJF: seen(mean=ndvi(RED, NIR + 0.5))},
    ),
)

RANGES = (
    FieldCase(
        name="valid_range_of_stored_values",
        why="valid bounds stored values, both included",
        products=product(),
        profile="""
red = { measurement = "red", scale = 1e-4, valid = [600, 1300] }
nir = { measurement = "nir", scale = 1e-4, valid = [2100, 4199] }
mask = "qa"
clear = [1]
""",
        scenes=(scene(red=put(RED, {(0, 1): 599, (0, 2): 1301})),),
        expected={DJF: seen(but={(0, 0): None, (0, 1): None, (0, 2): None})},
    ),
    FieldCase(
        name="valid_range_of_reflectance",
        why="valid_reflectance bounds stored * scale + offset",
        products=product(SENTINEL),
        profile="""
red = { measurement = "red", scale = 1e-4, offset = -0.1, valid_reflectance = [0.0, 1.0] }
nir = { measurement = "nir", scale = 1e-4, offset = -0.1, valid_reflectance = [0.0, 1.0] }
mask = "qa"
clear = [1]
""",
        scenes=(scene(red=put(RED + 1000, {(0, 0): 900}), nir=put(NIR + 1000, {(1, 1): 11500})),),
        expected={DJF: seen(but={(0, 0): None, (1, 1): None})},
    ),
    FieldCase(
        name="index_of_nothing_is_undefined",
        why="red + nir = 0 has no index",
        products=product(),
        profile=PLAIN,
        scenes=(scene(red=put(RED, {(0, 0): 0, (1, 1): -40}), nir=put(NIR, {(0, 0): 0, (1, 1): 40})),),
        expected={DJF: seen(but={(0, 0): None, (1, 1): None})},
    ),
    FieldCase(
        name="index_far_beyond_its_range",
        why="negative reflectance makes any index; it is kept, and said",
        products=product(SENTINEL),
        profile="""
red = { measurement = "red", scale = 2.75e-5, offset = -0.2 }
nir = { measurement = "nir", scale = 2.75e-5, offset = -0.2 }
mask = "qa"
clear = [1]
""",
        scenes=(scene(red=put(RED + 8000, {(0, 0): 7100}), nir=put(NIR + 8000, {(0, 0): 7450}), time=TIME),),
        expected={
            DJF: seen(
                mean=ndvi(
                    put(RED + 8000, {(0, 0): 7100}) * 2.75e-5 - 0.2, put(NIR + 8000, {(0, 0): 7450}) * 2.75e-5 - 0.2
                )
            )
        },
        says=("-1 to 1",),
    ),
    FieldCase(
        name="index_beyond_the_range_asked_for",
        why="--index-range drops observations outside of it",
        products=product(),
        profile=PLAIN,
        scenes=(scene(red=put(RED, {(0, 0): -100, (1, 3): -2000})), scene("usual", LATER)),
        request={"index_range": "-1,1"},
        expected={DJF: seen(2, but={(0, 0): (1, INDEX[0, 0]), (1, 3): (1, INDEX[1, 3])})},
    ),
)

CASES = (*SCALES, *OFFSETS, *NODATA, *TYPES, *RANGES)
