"""What other operators have, in a few pixels each: the table of tests/field_cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.catalog import OdcCatalog
from tests.field_cases import CASES
from tests.field_cases.oracle import read_scenes, seasonal_ndvi
from tests.field_cases.records import FieldCase
from tests.field_cases.running import Outcome, assert_numbers, environment, run_case, sample_result
from tests.field_cases.writing import write_archive

every = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.index
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning:datacube")
@every
def test_a_field_case_is_right_or_refused(case: FieldCase, catalog: OdcCatalog, tmp_path: Path) -> None:
    outcome = run_case(case, catalog, tmp_path)
    assert not [secret for secret in case.secrets if secret.lower() in outcome.words]
    if case.refusal and (not case.expected or is_refused(case, outcome)):
        assert is_refused(case, outcome), outcome.words
        return
    assert outcome.result is not None, outcome.refusal
    assert_numbers(sample_result(outcome.result, case.ground), case.expected)
    for part in (*case.says, *case.names):
        assert part.lower() in outcome.words


def is_refused(case: FieldCase, outcome: Outcome) -> bool:
    """Tell whether the case, or one of its documents, is refused in the words that it gives."""
    told = "\n".join([outcome.refusal, *outcome.passed_over, *outcome.passed_over.values()]).lower()
    return bool(told.strip()) and all(part.lower() in told for part in case.refusal)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.by_oracle and case.expected], ids=lambda case: case.name
)
def test_the_oracle_gives_what_the_table_says(case: FieldCase, tmp_path: Path) -> None:
    archive = write_archive(case, tmp_path)
    with environment(case.environment):
        scenes = read_scenes(archive.definitions, archive.profiles, archive.documents)
        assert_numbers(seasonal_ndvi(scenes, case.fields, case.ground), case.expected)
