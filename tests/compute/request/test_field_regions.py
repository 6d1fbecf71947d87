"""Files that people give as a region: the table of tests/field_cases/regions.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.errors import InputError
from compute.request.region import read_region
from tests.field_cases.regions import REGIONS, Bbox, RegionFile

pytestmark = pytest.mark.unit

FIVE_METRES = 5e-5
"""In degrees: a datum may be 2 m off, and an edge that is straight in a projection bulges by as much."""


@pytest.mark.parametrize("case", REGIONS, ids=lambda case: case.name)
def test_a_region_file_is_read_rightly_or_refused(case: RegionFile, tmp_path: Path) -> None:
    path = tmp_path / f"{case.name}{case.suffix}"
    path.write_bytes(case.content)
    try:
        found = read_region(path).bbox
    except InputError as refusal:
        sentence = str(refusal)
        assert case.refusal, sentence
        assert all(part.lower() in sentence.lower() for part in case.refusal), sentence
        assert not [part for part in case.never if part in sentence]
        assert str(tmp_path) not in sentence
    else:
        assert case.bbox is not None, found
        assert off(found, case.bbox) < FIVE_METRES, found


def off(found: Bbox, right: Bbox) -> float:
    """Return how far two boxes are apart in degrees; longitudes may differ by whole turns."""
    turns = [(one - other + 180) % 360 - 180 for one, other in zip(found[::2], right[::2], strict=True)]
    return max(abs(each) for each in (*turns, found[1] - right[1], found[3] - right[3]))
