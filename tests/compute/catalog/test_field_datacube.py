"""Where plain `Datacube.load` differs from the right numbers of the field cases, and where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.catalog import OdcCatalog
from tests.field_cases import CASES
from tests.field_cases.beside import DIFFERENCES, RIGHT, compare_datacube, index_archive, is_comparable
from tests.field_cases.records import FieldCase
from tests.field_cases.running import environment

DIFFERENT = {name for names in DIFFERENCES.values() for name in names}
COMPARABLE = [case for case in CASES if is_comparable(case)]


def test_every_difference_is_that_of_a_case() -> None:
    assert {case.name for case in COMPARABLE} >= DIFFERENT


@pytest.mark.index
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", COMPARABLE, ids=lambda case: case.name)
def test_datacube_differs_where_the_table_says_so(case: FieldCase, catalog: OdcCatalog, tmp_path: Path) -> None:
    with environment(case.environment):
        verdict = compare_datacube(case, catalog, index_archive(case, catalog, tmp_path))
    assert (verdict != RIGHT) == (case.name in DIFFERENT), verdict
