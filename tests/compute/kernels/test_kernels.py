"""The arithmetic of a pixel against exact fractions and plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compute.kernels import accumulate, divide_sums
from compute.products import BandRole, MaskRole, Roles
from tests.strategies import STORED

pytestmark = pytest.mark.unit

Pixels = np.ndarray[Any, Any]
Look = tuple[Pixels, Pixels, Pixels]

UNIT = Fraction(1, 2**32)


def band(**fields: Any) -> BandRole:
    """A band whose stored values are reflectances as they are, but for what a test says otherwise."""
    plain = BandRole(
        measurement="b", dtype="int16", scale=1.0, offset=0.0, nodata=None, valid_min=-np.inf, valid_max=np.inf
    )
    return replace(plain, **fields)


def both(**fields: Any) -> Roles:
    return Roles(
        product="p", red=band(**fields), nir=band(**fields), mask=MaskRole(measurement="m", dtype="uint8", nodata=None)
    )


def summed(looks: Sequence[Look], roles: Roles) -> tuple[Pixels, Pixels]:
    """Total and count of some looks, from nothing."""
    shape = looks[0][2].shape
    total, count = np.zeros(shape, np.int64), np.zeros(shape, np.uint16)
    for red, nir, clear in looks:
        accumulate(red, nir, clear, roles.band_constants, total, count)
    return total, count


def one_pixel(red: float, nir: float, roles: Roles, dtype: str = "int16") -> tuple[int, int]:
    total, count = summed([(np.full((1, 1), red, dtype), np.full((1, 1), nir, dtype), np.ones((1, 1), bool))], roles)
    return int(total[0, 0]), int(count[0, 0])


def exact_ndvi(red: Any, nir: Any, roles: Roles) -> Fraction | None:
    """NDVI without any rounding, None where it is not an observation."""
    stored = []
    for value, role in ((red, roles.red), (nir, roles.nir)):
        number = float(value)
        if not np.isfinite(number) or number == role.nodata or not role.valid_min <= number <= role.valid_max:
            return None
        stored.append(Fraction(number) * Fraction(str(role.scale)) + Fraction(str(role.offset)))
    r, n = stored
    if abs(n + r) <= Fraction(1, 10**6) * Fraction(str(max(roles.red.scale, roles.nir.scale))):
        return None
    ndvi = (n - r) / (n + r)
    # Beyond what sums of 64 bits hold for every count, the index is undefined.
    return ndvi if abs(ndvi) <= 2**15 else None


@st.composite
def look_stacks(draw: st.DrawFn, *, shape: tuple[int, int] = (2, 3)) -> tuple[list[Look], Roles]:
    dtype = draw(st.sampled_from(sorted(STORED)))
    pixels = hnp.arrays(dtype, shape, elements=STORED[dtype])
    looks = draw(st.lists(st.tuples(pixels, pixels, hnp.arrays(bool, shape)), min_size=1, max_size=6))
    low, high = draw(st.sampled_from([(-np.inf, np.inf), (1.0, 10000.0), (0.0, 1.0)]))
    scale, offset = draw(st.sampled_from([(1.0, 0.0), (1e-4, 0.0), (2e-5, -0.1), (2.75e-5, -0.2)]))
    nodata = draw(st.sampled_from([None, 0.0, -999.0]))
    return looks, both(dtype=dtype, scale=scale, offset=offset, nodata=nodata, valid_min=low, valid_max=high)


@settings(max_examples=60)
@given(look_stacks())
def test_sums_are_those_of_exact_fractions(case: tuple[list[Look], Roles]) -> None:
    looks, roles = case
    total, count = summed(looks, roles)
    for place in np.ndindex(*total.shape):
        exact = [exact_ndvi(red[place], nir[place], roles) for red, nir, clear in looks if clear[place]]
        seen = [value for value in exact if value is not None]
        assert count[place] == len(seen)
        # Half a unit of rounding each; where red + nir nearly cancel, a part in 1e8 of the quotient besides.
        allowed = sum((Fraction(3, 4) * UNIT + abs(value) ** 2 / 10**9 for value in seen), Fraction(0))
        assert abs(int(total[place]) * UNIT - sum(seen, Fraction(0))) <= allowed


@settings(max_examples=60)
@given(look_stacks(), st.randoms(use_true_random=False), st.integers(0, 6))
def test_neither_the_order_of_looks_nor_splitting_them_changes_a_bit(
    case: tuple[list[Look], Roles], random: Any, cut: int
) -> None:
    looks, roles = case
    total, count = summed(looks, roles)
    shuffled = random.sample(looks, len(looks))
    nothing = [(looks[0][0], looks[0][1], np.zeros_like(looks[0][2]))]
    parts = [summed(part or nothing, roles) for part in (shuffled[:cut], shuffled[cut:])]
    np.testing.assert_array_equal(parts[0][0] + parts[1][0], total)
    np.testing.assert_array_equal(parts[0][1] + parts[1][1], count)


@settings(max_examples=40)
@given(look_stacks(shape=(4, 5)), st.integers(1, 3), st.integers(1, 4))
def test_cutting_a_block_in_space_changes_no_bit(case: tuple[list[Look], Roles], row: int, column: int) -> None:
    looks, roles = case
    whole = summed(looks, roles)
    for part in (np.s_[:row, :column], np.s_[row:, :column], np.s_[:row, column:], np.s_[row:, column:]):
        cut = summed([(red[part], nir[part], clear[part]) for red, nir, clear in looks], roles)
        np.testing.assert_array_equal(cut, [whole[0][part], whole[1][part]])


def test_ndvi_of_one_look_is_nir_minus_red_over_their_sum() -> None:
    total, count = one_pixel(1000, 3000, both(scale=1e-4))
    assert (total, count) == (2**31, 1)


def test_an_offset_is_added_before_the_index_is_taken() -> None:
    # Stored 10000 and 20000 at 2e-5 each and -0.1: reflectances 0.1 and 0.3.
    total, count = one_pixel(10000, 20000, both(scale=2e-5, offset=-0.1))
    assert count == 1
    assert total / 2**32 == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize(
    ("red", "nir", "roles"),
    [
        (0, 0, both()),
        (-7, 7, both()),
        (5000, 5000, both(scale=2e-5, offset=-0.1)),
        (4000, 6000, both(scale=2e-5, offset=-0.1)),
        (7273, 7273, both(scale=2.75e-5, offset=-0.2000075)),
    ],
)
def test_red_and_nir_that_cancel_are_no_observation(red: int, nir: int, roles: Roles) -> None:
    assert one_pixel(red, nir, roles) == (0, 0)


def test_one_stored_unit_off_zero_is_an_observation() -> None:
    total, count = one_pixel(5000, 5001, both(scale=2e-5, offset=-0.1))
    assert total / 2**32 == pytest.approx(1.0, abs=1e-6)
    assert count == 1


@pytest.mark.parametrize(
    ("red", "nir", "counted"),
    [(1, 10000, 1), (0, 10000, 0), (1, 10001, 0), (10000, 1, 1), (-999, 5000, 0), (5000, -999, 0)],
)
def test_bounds_of_the_valid_range_are_valid_and_nodata_never_is(red: int, nir: int, counted: int) -> None:
    assert one_pixel(red, nir, both(nodata=-999.0, valid_min=1, valid_max=10000))[1] == counted


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("nodata", [None, -999.0])
def test_a_value_that_is_not_finite_is_no_observation(value: float, nodata: float | None) -> None:
    roles = both(dtype="float32", nodata=nodata)
    assert one_pixel(value, 0.5, roles, "float32") == (0, 0)
    assert one_pixel(0.5, value, roles, "float32") == (0, 0)
    assert one_pixel(value, -value, roles, "float32") == (0, 0)


def test_bands_of_different_scales_are_compared_as_reflectances() -> None:
    roles = replace(both(), red=band(scale=1e-4), nir=band(scale=1e-3))
    total, _ = one_pixel(1000, 300, roles)
    assert total / 2**32 == pytest.approx(0.5, abs=1e-9)


def test_an_index_far_beyond_its_range_counts_and_one_next_to_a_sum_of_0_does_not() -> None:
    roles = both(dtype="float32")
    total, count = one_pixel(-1.0, 1.0001, roles, "float32")
    assert total / 2**32 == pytest.approx(20_000, rel=1e-2)
    assert count == 1
    assert one_pixel(-1.0, 1.00001, roles, "float32") == (0, 0)
    assert one_pixel(1.00001, -1.0, roles, "float32") == (0, 0)
    assert np.iinfo(np.int64).max >= 65_535 * 2**15 * 2**32


def test_observations_beyond_the_physical_and_the_asked_range_are_counted() -> None:
    red, nir = np.array([[-1.0, 1.0, -1.0, 0.5]]), np.array([[3.0, 3.0, 1.0, -0.2]])
    sums = np.zeros((1, 4), np.int64), np.zeros((1, 4), np.uint16)
    beyond = np.zeros(2, np.int64)
    accumulate(red, nir, np.ones((1, 4), bool), both(dtype="float64").band_constants, *sums, beyond=beyond)
    assert sums[1].tolist() == [[1, 1, 0, 1]]
    assert beyond.tolist() == [2, 0]
    sums = np.zeros((1, 4), np.int64), np.zeros((1, 4), np.uint16)
    bands, beyond = both(dtype="float64").band_constants, np.zeros(2, np.int64)
    accumulate(red, nir, np.ones((1, 4), bool), bands, *sums, index_range=(-1.0, 1.0), beyond=beyond)
    assert sums[1].tolist() == [[0, 1, 0, 0]]
    assert beyond.tolist() == [0, 2]


# The mean


@given(
    hnp.arrays(np.float64, (3, 4), elements=st.floats(-1, 1)),
    hnp.arrays(np.uint16, (3, 4), elements=st.integers(0, 500)),
    st.integers(-1, 300),
)
def test_the_mean_is_sum_over_count_where_enough_is_clear(ndvi: Pixels, count: Pixels, min_clear: int) -> None:
    total = np.rint(ndvi * count * 2.0**32).astype(np.int64)
    found = divide_sums(total, count, min_clear=min_clear)
    enough = (count >= min_clear) & (count > 0)
    np.testing.assert_array_equal(np.isnan(found), ~enough)
    np.testing.assert_allclose(found[enough], ndvi[enough], rtol=0, atol=1e-7)
    assert found.dtype == np.float32


@given(hnp.arrays(np.int16, (2, 40, 3), elements=st.integers(1, 10000)))
def test_the_mean_is_a_plain_float64_mean(stored: Pixels) -> None:
    red, nir = stored.astype(np.float64)
    roles = both(scale=1e-4)
    looks = [(stored[0, n : n + 1], stored[1, n : n + 1], np.ones((1, 3), bool)) for n in range(40)]
    found = divide_sums(*summed(looks, roles))[0]
    np.testing.assert_allclose(found, ((nir - red) / (nir + red)).mean(axis=0), rtol=0, atol=1e-7)


def test_nothing_clear_has_no_mean_however_few_are_asked_for() -> None:
    nothing = divide_sums(np.zeros((1, 1), np.int64), np.zeros((1, 1), np.uint16), min_clear=0)
    assert np.isnan(nothing).all()
