"""Execution of a field case through the public services: index, plan, compute in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import dask
import numpy as np
import shapely
import xarray as xr
from pyproj import Transformer

from compute.catalog import OdcCatalog, add_products, add_scenes
from compute.errors import GreenupError
from compute.jobs import plan_request
from compute.plan import NdviPlan
from compute.products import load_profiles
from compute.request import NdviRequest
from compute.request.region import region_from_bbox
from compute.result.stack import SeasonStack, build_stack
from compute.settings import Settings
from tests.field_cases.records import FieldCase, Ground, Numbers
from tests.field_cases.serving import serve
from tests.field_cases.writing import Archive, write_archive

TOLERANCE = 1e-6
"""Most that a mean may be off, absolutely."""

ROUNDING = 2e-7
"""Most that a mean may be off beside that, relatively: it is kept as float32."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a case.

    Attributes
    ----------
    plan : NdviPlan or None
        Plan; None if the case was refused.
    result : xarray.Dataset or None
        Result; None if the case was refused.
    refusal : str
        Sentence of a refusal.
    passed_over : mapping of str to str
        Documents that were not indexed, with their sentences.
    left_out : tuple of str
        Message of each scene that could not be read.
    """

    plan: NdviPlan | None = None
    result: xr.Dataset | None = None
    refusal: str = ""
    passed_over: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """All messages of the case, in lower case."""
        notes = () if self.plan is None else self.plan.notes
        return "\n".join([self.refusal, *notes, *self.passed_over, *self.passed_over.values(), *self.left_out]).lower()


def run_case(case: FieldCase, catalog: OdcCatalog, folder: Path) -> Outcome:
    """Write, index, plan and compute a case; a refusal at any step is an outcome."""
    with environment(case.environment), serve(folder / "documents") as address:
        archive = write_archive(case, folder, address)
        try:
            add_products(catalog, archive.definitions)
            report = add_scenes(catalog, [archive.folder])
        except GreenupError as refusal:
            return Outcome(refusal=str(refusal))
        return run_indexed(case, catalog, archive, dict(report.failed))


def run_indexed(
    case: FieldCase, catalog: OdcCatalog, archive: Archive, passed_over: Mapping[str, str], **fields: str
) -> Outcome:
    """Plan and compute a case whose scenes are indexed, with further fields of the request."""
    try:
        request = parse_case_request(case, **fields)
        # Some cases have files next to the folder of their document, or on a server of this machine.
        roots = f"{archive.folder}, {archive.address}"
        settings = Settings(max_failed_share=1, data_roots=roots, raster_drivers="GTiff, ENVI")
        plan = plan_request(request, catalog, load_profiles(archive.profiles), settings)
        stack = compute_blocks(plan)
        result = stack.dataset().compute(scheduler="synchronous")
        return Outcome(plan=plan, result=result, passed_over=passed_over, left_out=left_out(stack))
    except GreenupError as refusal:
        return Outcome(refusal=str(refusal), passed_over=passed_over)


def compute_blocks(plan: NdviPlan) -> SeasonStack:
    """Compute the blocks of a plan in this process, one task after another."""
    (stack,) = dask.compute(build_stack(plan, "field"), scheduler="synchronous")
    assert isinstance(stack, SeasonStack)
    return stack


def left_out(stack: SeasonStack) -> tuple[str, ...]:
    """Return the message of each scene that could not be read, without repetition."""
    blocks = (stack.graph[key] for key in stack.keys)
    return tuple(sorted({str(each) for block in blocks for each in block.tally.failed}))


def parse_case_request(case: FieldCase, **fields: str) -> NdviRequest:
    """Return the request of a case, parsed from text like a query string."""
    values = case.fields | fields
    if "region" not in values:
        values["region"] = ",".join(repr(degree) for degree in region_from_bbox(*compute_inner_bbox(case.ground)).bbox)
    return NdviRequest.from_query(urlencode(values))


def compute_inner_bbox(ground: Ground) -> tuple[float, float, float, float]:
    """Return the box of a grid in degrees, a tenth of a pixel smaller, since it is not quite parallel to the grid."""
    (left, top), (right, bottom) = ground.corners[0], ground.corners[2]
    margin = ground.pixel / 10
    outline = shapely.segmentize(
        shapely.box(left + margin, bottom + margin, right - margin, top - margin), ground.pixel
    )
    to_degrees = Transformer.from_crs(ground.crs, "EPSG:4326", always_xy=True)
    x, y = to_degrees.transform(*shapely.get_coordinates(outline).T)
    return float(np.min(x)), float(np.min(y)), float(np.max(x)), float(np.max(y))


def sample_result(result: xr.Dataset, ground: Ground) -> Numbers:
    """Return counts and means of a result on an overlapping grid, 0 and NaN outside the result."""
    x, y = (axis[0] for axis in (ground.centres[0], ground.centres[1].T))
    near = {"x": x, "y": y, "method": "nearest", "tolerance": ground.pixel / 100}
    found = {}
    for place, label in enumerate(result.season.values):
        season = result.isel(season=place)
        count = season.clear_count.astype(float).reindex(**near, fill_value=0.0)
        mean = season.ndvi_mean.astype(float).reindex(**near, fill_value=np.nan)
        assert int(season.clear_count.sum()) == int(count.sum()), f"{label} has observations beside the ground"
        found[str(label)] = (count.values.astype(int), mean.values)
    return found


def assert_numbers(found: Numbers, expected: Numbers) -> None:
    """Compare counts exactly and means to `TOLERANCE`; a season without observations may be missing."""
    for label in sorted({*found, *expected}):
        nothing = _nothing_like(found, expected)
        count, mean = found.get(label, nothing)
        right_count, right_mean = expected.get(label, nothing)
        np.testing.assert_array_equal(count, right_count, err_msg=f"clear count of {label}")
        np.testing.assert_allclose(mean, right_mean, rtol=ROUNDING, atol=TOLERANCE, err_msg=f"mean of {label}")


def _nothing_like(*numbers: Numbers) -> Any:
    count, mean = next(pair for each in numbers for pair in each.values())
    return np.zeros_like(count), np.full_like(mean, np.nan)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables and the time zone of the process for the time of a ``with`` block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    time.tzset()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        time.tzset()
