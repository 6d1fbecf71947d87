"""Random documents and files against the NumPy oracle: a few by default, more by ``-m soak``.

With ``GREENUP_EXAMPLES=1000`` either runs as many of a random seed, and prints it.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from datacube.model import Product
from hypothesis import HealthCheck, assume, given, seed, settings

from compute.catalog import OdcCatalog, add_products, add_scenes
from tests.field_cases.generating import field_cases
from tests.field_cases.oracle import read_scenes, seasonal_ndvi
from tests.field_cases.records import FieldCase, Numbers
from tests.field_cases.running import Outcome, assert_numbers, environment, run_indexed, sample_result
from tests.field_cases.writing import Archive, write_archive

EXAMPLES = int(os.environ.get("GREENUP_EXAMPLES", "0"))
SEED = int(os.environ.get("GREENUP_SEED", "0")) or (random.randrange(1, 2**31) if EXAMPLES else 1)
LARGEST = 20.0
"""Largest mean that is compared: next to red + nir = 0 the last bit of reflectance decides."""

pytestmark = pytest.mark.index


@pytest.mark.timeout(300 + 5 * EXAMPLES)
@pytest.mark.parametrize("default", [8, pytest.param(50, marks=pytest.mark.soak)])
def test_random_archives_give_the_numbers_of_the_oracle(catalog: OdcCatalog, default: int) -> None:
    examples = EXAMPLES or default
    print(f"GREENUP_EXAMPLES={examples} GREENUP_SEED={SEED}")

    @seed(SEED)
    @settings(
        max_examples=examples, derandomize=False, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(field_cases())
    def check(case: FieldCase) -> None:
        with tempfile.TemporaryDirectory() as folder, environment(case.environment):
            archive = write_archive(case, Path(folder))
            right = seasonal_ndvi(
                read_scenes(archive.definitions, archive.profiles, archive.documents), case.fields, case.ground
            )
            assume(all(np.nanmax(np.abs(mean), initial=0) < LARGEST for _, mean in right.values()))
            with indexed(case, catalog, archive) as passed_over:
                agree(case, run_indexed(case, catalog, archive, passed_over), right)

    check()


def agree(case: FieldCase, outcome: Outcome, right: Numbers) -> None:
    """Compare an outcome with the right numbers; where nothing is observed, a refusal is right too."""
    observed = any(count.any() for count, _ in right.values())
    if outcome.result is None:
        assert not observed, outcome.refusal
        assert "No scene" in outcome.refusal
        return
    assert not outcome.left_out
    nothing = {"": (np.zeros(case.ground.shape, int), np.full(case.ground.shape, np.nan))}
    assert_numbers({**nothing, **sample_result(outcome.result, case.ground)}, {**nothing, **right})


@contextmanager
def indexed(case: FieldCase, catalog: OdcCatalog, archive: Archive) -> Iterator[dict[str, str]]:
    """Index an archive while the context lasts; a product of the same name gets the definition of the case."""
    _define(catalog, archive.definitions[0])
    report = add_scenes(catalog, archive.documents)
    ids = [yaml.safe_load(path.read_text(encoding="utf-8"))["id"] for path in archive.documents]
    try:
        yield dict(report.failed)
    finally:
        catalog.index.datasets.archive(ids)
        catalog.index.datasets.purge(ids)


def _define(catalog: OdcCatalog, path: Path) -> None:
    """Give a product another definition: to add one takes half a second."""
    document = yaml.safe_load(path.read_text())
    known = catalog.index.products.get_by_name(document["name"])
    if known is None:
        add_products(catalog, [path])
    else:
        catalog.index.products.update(Product(known.metadata_type, document), allow_unsafe_updates=True)
