"""Products by data: roles, scaling, valid ranges and what is clear."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.errors import InputError
from compute.products import (
    BitsProfile,
    ClearClass,
    MaskRole,
    ProductDefinition,
    ProductProfile,
    Roles,
    load_profiles,
    resolve_roles,
    shipped_profiles,
)
from tests.fixtures.scenes import DATA

pytestmark = pytest.mark.unit

FMASK = {
    "fmask": {
        "bits": [0, 1, 2, 3, 4, 5, 6, 7],
        "values": {"0": "nodata", "1": "valid", "2": "cloud", "3": "shadow", "4": "snow", "5": "water"},
    }
}

#: Flags of one bit and of several, and one that starts above bit 0.
BIT_FLAGS = {
    "fill": {"bits": 0, "values": {"0": False, "1": True}},
    "clear": {"bits": [6], "values": {"0": False, "1": True}},
    "water": {"bits": [7], "values": {"0": "land", "1": "water"}},
    "shadow": {"bits": [10, 11], "values": {"1": "shadow_low", "2": "shadow_medium", "3": "shadow_high"}},
}


def definition(*, dtype: str = "uint8", nodata: float | None = 0, flags: Any = FMASK) -> ProductDefinition:
    """A product as an index document describes it, with the mask that a test asks for."""
    return ProductDefinition.from_document(
        {
            "name": "some_product",
            "description": "A product",
            "measurements": [
                {"name": "nbart_red", "dtype": "int16", "nodata": -999, "aliases": ["red", "band03"]},
                {"name": "nbart_nir", "dtype": "int16", "nodata": -999, "aliases": ["nir"]},
                {"name": "slope", "dtype": "float32", "nodata": float("nan")},
                {"name": "oa_fmask", "dtype": dtype, "nodata": nodata, "flags_definition": flags, "aliases": ["fmask"]},
            ],
        }
    )


def profile(**fields: Any) -> ProductProfile:
    base = {"red": "nbart_red", "nir": "nbart_nir", "mask": "oa_fmask", "clear": ["valid"]}
    return ProductProfile.model_validate(base | fields)


def clear_codes(mask: MaskRole) -> set[int]:
    """The stored values that are clear, as their own type holds them."""
    unsigned = {256: np.uint8, 65536: np.uint16}[mask.clear_table().size]
    return set(np.flatnonzero(mask.clear_table()).astype(unsigned).view(mask.dtype).tolist())


def resolved_codes(clear: Sequence[ClearClass], **mask: Any) -> set[int]:
    return clear_codes(resolve_roles(definition(**mask), profile(), clear=clear).mask)


def refusal(*args: Any, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        resolve_roles(*args, **options)
    return caught.value


def is_one_sentence(message: str) -> bool:
    return message.endswith(".") and "\n" not in message and "Traceback" not in message


# What is clear


@pytest.mark.parametrize(
    ("clear", "codes"),
    [
        (["valid", "water", "snow"], {1, 5, 4}),
        ([1, 5], {1, 5}),
        (["1", "water"], {1, 5}),
        (["valid", "valid", 1], {1}),
        (["valid", 200], {1, 200}),
    ],
)
def test_classes_are_given_by_name_or_by_number(clear: list[ClearClass], codes: set[int]) -> None:
    assert resolved_codes(clear) == codes


def test_the_profiles_classes_hold_unless_the_request_names_others() -> None:
    assert clear_codes(resolve_roles(definition(), profile(clear="water")).mask) == {5}
    assert clear_codes(resolve_roles(definition(), profile(clear="water"), clear=["snow"]).mask) == {4}


def test_the_masks_nodata_is_never_clear_even_when_asked_for() -> None:
    assert resolved_codes(["nodata", "valid"]) == {1}
    assert resolved_codes([0, 1]) == {1}
    assert resolved_codes([255, 1], nodata=255) == {1}
    rule = profile(clear=[{"bits": 0, "value": 0}])
    assert 0 not in clear_codes(resolve_roles(definition(), rule).mask)


def test_a_mask_without_nodata_loses_no_class() -> None:
    assert resolved_codes([0, 1], nodata=None) == {0, 1}
    assert resolved_codes([0, 1], nodata=float("nan")) == {0, 1}


def test_a_boolean_flag_is_a_class_by_its_own_name() -> None:
    codes = resolved_codes(["clear"], dtype="uint16", nodata=None, flags=BIT_FLAGS)
    assert codes == {code for code in range(65536) if code & 64}


def test_a_value_of_a_flag_is_a_class_wherever_its_bits_lie() -> None:
    codes = resolved_codes(["shadow_medium", "land"], dtype="uint16", nodata=None, flags=BIT_FLAGS)
    assert codes == {code for code in range(65536) if code >> 10 & 3 == 2 and not code & 128}


def test_classes_of_one_flag_are_joined_by_or_and_those_of_several_by_and() -> None:
    every = range(65536)
    codes = resolved_codes(["shadow_medium", "shadow_low", "land"], dtype="uint16", nodata=None, flags=BIT_FLAGS)
    assert codes == {code for code in every if code >> 10 & 3 in (1, 2) and not code & 128}
    codes = resolved_codes(["clear", "land", 64], dtype="uint16", nodata=None, flags=BIT_FLAGS)
    assert codes == {64}


def test_names_bits_and_codes_are_nested_in_alternatives() -> None:
    rule = [{"any": ["land", {"all": [{"bits": 0, "value": 1}, {"bits": [2, 3], "value": [0, 3]}]}]}, "clear"]
    mask = resolve_roles(definition(dtype="uint16", nodata=None, flags=BIT_FLAGS), profile(clear=rule)).mask
    expected = {
        code for code in range(65536) if code & 64 and (not code & 128 or (code & 1 and code >> 2 & 3 in (0, 3)))
    }
    assert clear_codes(mask) == expected


def test_a_flag_that_is_false_is_no_class() -> None:
    error = refusal(definition(dtype="uint16", flags=BIT_FLAGS), profile(), clear=["false"])
    assert "fill, clear, land, water, shadow_low" in str(error)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_a_signed_mask_has_negative_codes(dtype: str) -> None:
    assert resolved_codes([-2, 3, -99], dtype=dtype, nodata=-99, flags=None) == {-2, 3}
    assert resolved_codes(["-2", 3], dtype=dtype, nodata=-99, flags=None) == {-2, 3}


def test_the_sign_of_an_int16_mask_is_its_bit_15() -> None:
    mask = resolve_roles(definition(dtype="int16", nodata=None), profile(clear=[{"bits": 15, "value": 1}])).mask
    assert clear_codes(mask) == set(range(-32768, 0))


@pytest.mark.parametrize(("dtype", "codes"), [("uint8", 256), ("int8", 256), ("uint16", 65536), ("int16", 65536)])
def test_the_table_has_an_entry_for_every_code(dtype: str, codes: int) -> None:
    table = resolve_roles(definition(dtype=dtype), profile()).mask.clear_table()
    assert (table.shape, table.dtype) == ((codes,), np.dtype(bool))


def test_conditions_on_bits_must_all_be_met() -> None:
    rule = profile(clear=[{"bits": 0, "value": 0}, {"bits": [7, 8], "value": [0, 1, 2]}])
    codes = clear_codes(resolve_roles(definition(dtype="uint16", nodata=None), rule).mask)
    assert codes == {code for code in range(65536) if not code & 1 and code >> 7 & 3 < 3}


def test_the_first_bit_of_a_condition_is_the_lowest_of_its_number() -> None:
    rule = profile(clear={"bits": [5, 2], "value": 1})
    codes = clear_codes(resolve_roles(definition(nodata=None), rule).mask)
    assert codes == {code for code in range(256) if code >> 5 & 1 and not code >> 2 & 1}


@st.composite
def conditions(draw: st.DrawFn, bits: int) -> list[BitsProfile]:
    """Some conditions, each on a few different bits below `bits` and with numbers that these can form."""

    def one() -> BitsProfile:
        positions = draw(st.lists(st.integers(0, bits - 1), min_size=1, max_size=4, unique=True))
        numbers = draw(st.lists(st.integers(0, 2 ** len(positions) - 1), min_size=1, max_size=4))
        return BitsProfile(bits=tuple(positions), value=tuple(numbers))

    return [one() for _ in range(draw(st.integers(1, 4)))]


def meets(code: int, condition: BitsProfile) -> bool:
    """The rule for one code, bit by bit."""
    digits = [str(code >> position & 1) for position in reversed(condition.bits)]
    return int("".join(digits), base=2) in condition.value


@given(rules=conditions(bits=8), nodata=st.none() | st.integers(0, 255))
def test_the_table_of_an_8_bit_mask_is_the_rule_of_each_code(rules: list[BitsProfile], nodata: int | None) -> None:
    table = resolve_roles(definition(nodata=nodata), profile(clear=rules)).mask.clear_table()
    expected = [code != nodata and all(meets(code, rule) for rule in rules) for code in range(256)]
    assert table.tolist() == expected


@settings(deadline=None)
@given(
    rules=conditions(bits=16),
    nodata=st.none() | st.integers(-32768, 32767),
    codes=st.lists(st.integers(-32768, 32767), min_size=1, max_size=50),
)
def test_the_table_of_an_int16_mask_is_the_rule_of_each_code(
    rules: list[BitsProfile], nodata: int | None, codes: list[int]
) -> None:
    table = resolve_roles(definition(dtype="int16", nodata=nodata), profile(clear=rules)).mask.clear_table()
    found = table[np.array(codes, np.int16).view(np.uint16)].tolist()
    assert found == [code != nodata and all(meets(code & 0xFFFF, rule) for rule in rules) for code in codes]


def test_a_class_that_the_mask_lacks_is_refused_with_those_it_has() -> None:
    error = refusal(definition(), profile(), clear=["sunny"])
    sentence = "The mask oa_fmask has no class 'sunny'; it has nodata, valid, cloud, shadow, snow, water."
    assert (error.field, str(error)) == ("clear", sentence)


def test_a_mask_without_named_classes_asks_for_integers() -> None:
    assert "give integers" in str(refusal(definition(flags=None), profile(), clear=["valid"]))


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint64", "bool"])
def test_a_mask_of_another_type_is_refused(dtype: str) -> None:
    error = refusal(definition(dtype=dtype), profile())
    assert f"is {dtype}" in str(error)
    assert is_one_sentence(str(error))


# Bands


def test_a_band_named_alone_is_taken_as_stored() -> None:
    role = resolve_roles(definition(), profile()).red
    assert (role.measurement, role.dtype, role.nodata) == ("nbart_red", "int16", -999)
    assert (role.scale, role.offset, role.valid_min, role.valid_max) == (1, 0, -inf, inf)


def test_scale_offset_nodata_and_range_come_from_the_profile() -> None:
    band = {"measurement": "nbart_red", "scale": 2e-5, "offset": -0.1, "nodata": 0, "valid": [1, 10000]}
    role = resolve_roles(definition(), profile(red=band)).red
    assert (role.scale, role.offset, role.nodata) == (2e-5, -0.1, -999)
    assert (role.valid_min, role.valid_max) == (1, 10000)
    assert resolve_roles(definition(), profile(red=band | {"override": True})).red.nodata == 0


def test_a_contradiction_of_definition_and_profile_is_noted() -> None:
    (note,) = resolve_roles(definition(), profile(red={"measurement": "nbart_red", "nodata": 0})).notes
    assert "nodata -999, and the products file 0; that of the definition is used" in note
    assert is_one_sentence(note.removeprefix("Warning: "))


def test_a_band_whose_nodata_is_nan_has_none() -> None:
    assert resolve_roles(definition(), profile(red="slope")).red.nodata is None


def test_aliases_stand_for_the_canonical_name() -> None:
    roles = resolve_roles(definition(), profile(red="band03", nir="nir", mask="fmask"))
    assert roles.measurements == ("oa_fmask", "nbart_red", "nbart_nir")


def valid_ranges(roles: Roles) -> list[tuple[float, float]]:
    return [(band.valid_min, band.valid_max) for band in (roles.red, roles.nir)]


def test_a_valid_range_asked_for_replaces_that_of_both_bands() -> None:
    ranged = profile(red={"measurement": "nbart_red", "valid": [1, 10000]})
    assert valid_ranges(resolve_roles(definition(), ranged)) == [(1, 10000), (-inf, inf)]
    assert valid_ranges(resolve_roles(definition(), ranged, valid_range=(0, 12000))) == [(0, 12000)] * 2
    assert valid_ranges(resolve_roles(definition(), ranged, valid_range="none")) == [(-inf, inf)] * 2


def test_a_measurement_that_the_product_lacks_is_refused_with_those_it_has() -> None:
    error = refusal(definition(), profile(red="nbart_infrared"))
    has = "nbart_nir, nbart_red, oa_fmask, slope"
    sentence = f"Product some_product has no measurement 'nbart_infrared'; it has {has}."
    assert (error.field, str(error)) == ("product", sentence)


# The file


def write(folder: Path, text: str) -> Path:
    path = folder / "products.toml"
    path.write_text(text, encoding="utf-8")
    return path


MINE = '[products.mine]\nred = "r"\nnir = "n"\nmask = "m"\n'


def test_a_file_adds_products_and_overrides_shipped_ones(tmp_path: Path) -> None:
    path = write(tmp_path, MINE + "clear = 1\n" + MINE.replace("mine", "ga_ls8c_ard_3") + "clear = 2\n")
    profiles = load_profiles(path)
    assert set(profiles) == {*shipped_profiles(), "mine"}
    assert (profiles["mine"].clear, profiles["ga_ls8c_ard_3"].clear) == ((1,), (2,))
    assert profiles["ga_ls5t_ard_3"] == shipped_profiles()["ga_ls5t_ard_3"]


def test_without_a_file_the_shipped_profiles_hold() -> None:
    assert load_profiles(None) == shipped_profiles()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MINE + "clear = 1\nscale = 2\n", "unknown key products.mine.scale; known keys are red, nir, mask, clear"),
        (MINE.replace('"r"', '{ measurement = "r", scal = 1 }') + "clear = 1\n", "unknown key products.mine.red.scal;"),
        (MINE + "clear = 1\n[product]\n", "unknown key product; known keys are products"),
        (MINE, "products.mine: the mask m has no clear rule"),
        (MINE + "clear = []\n", "products.mine.clear"),
        (MINE.replace('"r"', '{ measurement = "r", scale = 0 }') + "clear = 1\n", "products.mine.red.scale"),
        (MINE.replace('"r"', '{ measurement = "r", offset = nan }') + "clear = 1\n", "products.mine.red.offset"),
        (MINE.replace('"r"', '{ measurement = "r", valid = [2, 1] }') + "clear = 1\n", "products.mine.red"),
        (MINE + "clear = { bits = 32, value = 0 }\n", "products.mine.clear"),
        (MINE + 'clear = 1\n[products."mine, yours"]\nred = "r"\nnir = "n"\nmask = "none"\n', "'mine' twice"),
        (MINE.replace('"m"', '"none"') + "clear = 1\n", "clear belongs to a mask"),
        (MINE.replace('"m"', '{ measurement = "p", below = 1, reflectance_above = 0 }'), "stored units (below = 40)"),
        (MINE + "clear = [{ any = [{ bits = 0 }] }]\n", "products.mine.clear.0.any.0.value"),
        (MINE + "clear = { bits = [], value = 0 }\n", "products.mine.clear"),
        ("", "products"),
        ("red =", "not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        load_profiles(write(tmp_path, text))
    assert caught.value.field == "products"
    assert says in str(caught.value)
    assert is_one_sentence(str(caught.value))


def test_a_file_that_cannot_be_read_is_refused_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    for name in ("absent.toml", "latin.toml"):
        with pytest.raises(InputError) as caught:
            load_profiles(tmp_path / name)
        assert (
            str(caught.value) == f"The products file {name} cannot be read as UTF-8 text; check its name and encoding."
        )


# What is shipped


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_shipped_profile_fits_the_real_definition(name: str) -> None:
    path = DATA / f"definitions/products/{name}.odc-product.yaml"
    roles = resolve_roles(
        ProductDefinition.from_document(yaml.safe_load(path.read_text(encoding="utf-8"))), shipped_profiles()[name]
    )
    nir = "nbart_nir_1" if name.startswith("ga_s2") else "nbart_nir"
    assert roles.measurements == ("oa_fmask", "nbart_red", nir)
    assert clear_codes(roles.mask) == {1, 4, 5}
    for band in (roles.red, roles.nir):
        assert (band.dtype, band.nodata, band.scale, band.offset) == ("int16", -999, 1e-4, 0)
        assert (band.valid_min, band.valid_max) == (1, 10000)


@pytest.mark.parametrize("code", [256, -1, "300"])
def test_a_class_that_the_masks_type_cannot_hold_is_refused(code: ClearClass) -> None:
    error = refusal(definition(), profile(), clear=[code])
    assert (error.field, str(error)) == ("clear", f"The mask oa_fmask is uint8 and has classes 0 to 255, not {code}.")


@pytest.mark.parametrize("name", ["²", "--5", "1.0", "", " 1"])
def test_what_only_looks_like_a_number_is_no_class(name: str) -> None:
    assert "has no class" in str(refusal(definition(), profile(), clear=[name]))


def test_an_empty_list_of_classes_is_refused() -> None:
    assert refusal(definition(), profile(), clear=[]).field == "clear"


def test_a_bit_that_the_mask_lacks_is_refused() -> None:
    error = refusal(definition(), profile(clear={"bits": [7, 8], "value": 0}))
    assert str(error) == "The mask oa_fmask is uint8 and has bits 0 to 7, not 8."


@pytest.mark.parametrize("nodata", [-999, 256, 0.5, inf, float("nan")])
def test_a_nodata_that_the_mask_cannot_hold_takes_no_class_away(nodata: float) -> None:
    rule = profile(clear={"bits": 0, "value": [0, 1]})
    assert clear_codes(resolve_roles(definition(nodata=nodata), rule).mask) == set(range(256))


def test_a_class_name_that_several_flags_use_is_asked_for_with_its_flag() -> None:
    flags = {flag: {"bits": [bit], "values": {"0": "low", "1": "high"}} for bit, flag in enumerate(("cloud", "snow"))}
    assert resolved_codes(["cloud.low"], nodata=None, flags=flags) == set(range(0, 256, 2))
    error = refusal(definition(flags=flags), profile(), clear=["low"])
    assert str(error) == "Several flags of oa_fmask have 'low'; write cloud.low or snow.low."


def test_a_name_means_the_measurement_of_that_name_before_an_alias() -> None:
    document = {
        "name": "p",
        "measurements": [{"name": "red", "dtype": "int16"}, {"name": "b4", "dtype": "int16", "aliases": ["red"]}],
    }
    assert ProductDefinition.from_document(document).measurement("red").name == "red"


def test_a_document_may_leave_measurements_and_aliases_empty() -> None:
    assert ProductDefinition.from_document({"name": "p", "measurements": None}).measurements == {}
    document = {"name": "p", "measurements": [{"name": "red", "dtype": "int16", "aliases": None}]}
    assert ProductDefinition.from_document(document).aliases == {}


@pytest.mark.parametrize(
    ("clear", "says"),
    [
        ("{ bit = 0, value = 0 }", "products.mine.clear.0.bits: Field required"),
        ("{ bits = 0, value = 0, mask = 1 }", "unknown key products.mine.clear.0.mask; known keys are bits, value"),
        ("{ bits = 32, value = 0 }", "products.mine.clear.0.bits.0: Input should be less than or equal to 31"),
        ("{ bits = 0, value = 2 }", "products.mine.clear.0: bits must differ and be able to form each value"),
        ("{ bits = [3, 3], value = 0 }", "products.mine.clear.0: bits must differ and be able to form each value"),
    ],
)
def test_a_mistake_in_a_condition_on_bits_is_explained_as_one(tmp_path: Path, clear: str, says: str) -> None:
    with pytest.raises(InputError, match=r"^products\.toml has an (unknown|invalid)") as caught:
        load_profiles(write(tmp_path, MINE + f"clear = {clear}\n"))
    assert says in str(caught.value)
