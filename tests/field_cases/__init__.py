"""Field cases: small files, documents and definitions as operators have them, with the correct numbers.

A row is a `records.FieldCase`. Add one to the module of its kind under a new name. `test_field_cases` runs it and
checks the oracle on it, and `test_field_datacube` records the result of datacube.
"""

from __future__ import annotations

from tests.field_cases import files_and_places, masks, scenes_and_times, stored_values
from tests.field_cases.records import FieldCase

CASES: tuple[FieldCase, ...] = (
    *stored_values.CASES,
    *masks.CASES,
    *scenes_and_times.CASES,
    *files_and_places.CASES,
)
