"""Provenance: a result's own files make its plan again, and give no secret away."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import rasterio
import zarr
from affine import Affine
from hypothesis import HealthCheck, assume, given, settings

from compute.catalog import Catalog
from compute.catalog.protocol import ListCatalog
from compute.errors import InputError
from compute.files.access import Access
from compute.jobs import plan_again, plan_provenance
from compute.plan import NdviPlan, make_plan
from compute.products import Measurement, ProductDefinition
from compute.scenes import Scene
from compute.settings import Settings
from tests.compute.plan.test_plan_document import PLANS
from tests.strategies import request_of, roles_of, scene_of

pytestmark = pytest.mark.unit

SECRET = "s3cr3t"
SIGNED = f"https://user:{SECRET}@host:8443/scenes/a%20b/red.tif?X-Amz-Signature={SECRET}&sig={SECRET}#{SECRET}"


def no_catalog() -> NoReturn:
    raise AssertionError("the index is not needed")


def plan_for(scenes: Sequence[Scene]) -> NdviPlan:
    return make_plan(request_of(crs="native"), scenes, {"landsat": roles_of()}, Settings())


def signed(scene: Scene, address: str = SIGNED) -> Scene:
    bands = {name: replace(band, uri=address) for name, band in scene.source.bands.items()}
    return replace(scene, source=replace(scene.source, bands=bands))


def as_zarr(path: Path, provenance: dict[str, Any]) -> Path:
    zarr.create_group(str(path), attributes=provenance, overwrite=True)
    return path


def as_cog(path: Path, provenance: dict[str, Any]) -> Path:
    tags = {key: value if isinstance(value, str) else json.dumps(value) for key, value in provenance.items()}
    profile = {"driver": "GTiff", "width": 1, "height": 1, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", transform=Affine.scale(30), **profile) as file:
        file.update_tags(**tags)
        file.write(np.zeros((1, 1, 1), np.uint8))
    return path


@given(PLANS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=15)
def test_any_plan_comes_back_from_either_file(tmp_path: Path, plan: NdviPlan) -> None:
    provenance = plan_provenance(plan)
    assume("greenup_addresses_cut" not in provenance)
    json.dumps(provenance, allow_nan=False)
    for path in (as_zarr(tmp_path / "r.zarr", provenance), as_cog(tmp_path / "r.tif", provenance)):
        again = plan_again(path, no_catalog, Access())
        assert replace(again, notes=plan.notes) == replace(plan, access=Access())


def test_roles_are_there_for_people() -> None:
    provenance = plan_provenance(plan_for([scene_of("a")]))
    red = provenance["greenup_roles"]["landsat"]["red"]
    assert (red["measurement"], red["scale"], red["offset"], red["nodata"]) == ("red", 1e-4, 0.0, -999.0)
    assert (red["valid_min"], red["valid_max"]) == (1.0, 10000.0)
    assert provenance["greenup_roles"]["landsat"]["mask"]["clauses"] == [[[255, 1]]]
    assert "greenup_addresses_cut" not in provenance


@contextmanager
def _listed(scenes: Sequence[Scene]) -> Iterator[Catalog]:
    bands = {name: Measurement(name=name, dtype="int16", nodata=None) for name in ("red", "nir", "mask")}
    definition = ProductDefinition(name="landsat", description="", measurements=bands, aliases={})
    yield ListCatalog(scenes=scenes, definitions={"landsat": definition})


def test_no_secret_is_kept_and_the_index_gives_it_back(tmp_path: Path) -> None:
    scenes = [signed(scene_of("a")), scene_of("b", "2020-02-05T00:00:00")]
    plan = plan_for(scenes)
    provenance = plan_provenance(plan)
    path = as_zarr(tmp_path / "r.zarr", provenance)
    kept = plan_again(path, lambda: _listed(scenes), Access())
    assert kept.sources == plan.sources
    assert provenance["greenup_addresses_cut"] == ["a"]
    assert SECRET not in json.dumps(provenance)
    assert SECRET.encode() not in gzip.decompress(base64.b64decode(provenance["greenup_plan"]))
    moved = [signed(scenes[0], "https://host/other?sig=2"), scenes[1]]
    again = plan_again(path, lambda: _listed(moved), Access())
    assert {band.uri for band in again.sources[0].bands.values()} == {"https://host/other?sig=2"}
    assert again.sources[1] == plan.sources[1]
    with pytest.raises(InputError, match="does not hold 1 of the scenes"):
        plan_again(path, lambda: _listed(scenes[1:]), Access())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (SIGNED, "https://host:8443/scenes/a%20b/red.tif"),
        (f"/vsicurl/https://{SECRET}@host/a.tif?token={SECRET}", "/vsicurl/https://host/a.tif"),
        (f"s3://{SECRET}:{SECRET}@bucket/a.tif", "s3://bucket/a.tif"),
        ("file:///data/a%23b%3F@c.tif", "file:///data/a%23b%3F@c.tif"),
        ("file:///data/a.nc#part=3", "file:///data/a.nc#part=3"),
        ("https://host/a@b.tif", "https://host/a@b.tif"),
        (f"https://host/a(1)?id=1,sig='{SECRET}'", "https://host/a(1)"),
        ("/data/a?b#c.tif", "/data/a?b#c.tif"),
    ],
)
def test_an_address_keeps_what_leads_to_the_file_alone(tmp_path: Path, address: str, public: str) -> None:
    plan = plan_for([scene_of("a")])
    provenance = plan_provenance(replace(plan, sources=(signed(scene_of("a"), address).source,)))
    without = {key: value for key, value in provenance.items() if key != "greenup_addresses_cut"}
    again = plan_again(as_cog(tmp_path / "r.tif", without), no_catalog, Access())
    assert {band.uri for band in again.sources[0].bands.values()} == {public}


def test_what_cannot_be_made_again_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no raster")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "gone.zarr", tmp_path / "text.tif", tmp_path / "empty"):
        with pytest.raises(InputError, match=f"{path.name} is no result that can be read; give"):
            plan_again(path, no_catalog, Access())
    with pytest.raises(InputError, match="does not hold how it was made"):
        plan_again(as_zarr(tmp_path / "other.zarr", {"title": "of somebody else"}), no_catalog, Access())
    with pytest.raises(InputError, match="damaged, or of another version"):
        plan_again(as_cog(tmp_path / "bad.tif", {"greenup_plan": "bm90IGEgcGxhbg=="}), no_catalog, Access())


def test_a_result_of_another_version_says_so(tmp_path: Path) -> None:
    provenance = plan_provenance(plan_for([scene_of("a")])) | {"source": "greenup 0.0.1"}
    again = plan_again(as_zarr(tmp_path / "r.zarr", provenance), no_catalog, Access())
    assert again.notes[-1].startswith("The result was made by greenup 0.0.1, and this is ")
