"""Documents that come from anybody: bounded, named where they are refused, and never at the cost of others."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from compute.catalog import OdcCatalog, add_products, add_scenes, document_files
from compute.catalog.bounded_parsing import MOST_BYTES_OF_JSON
from compute.catalog.document_limits import refuse_crs
from compute.errors import InputError
from compute.files.access import Access
from compute.products import load_profiles
from compute.settings import Settings
from dashboard.cli.main import app
from tests.compute.catalog.test_index import PRODUCT, document, written
from tests.fixtures.index import DEFINITIONS, SINGLE

ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))

MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))

UNFIT = [
    ("aliases.yaml", ALIASES, "holds a document of more than 100,000 values"),
    ("merges.yaml", MERGES, "holds a document of more than 100,000 values"),
    ("wide.yaml", f"a: &a [{'x, ' * 9000}]\nb: [{'*a, ' * 9000}]", "holds a document of more than 100,000 values"),
    ("itself.yaml", "a: &a [*a]", "has a YAML alias without an earlier anchor, or one that refers to itself"),
    ("nothing.yaml", "a: *a", "has a YAML alias without an earlier anchor, or one that refers to itself"),
    ("deep.yaml", "a: " + "[" * 5000, "nests values more than 40 deep"),
    ("deep_blocks.yaml", "\n".join(" " * n + "a:" for n in range(500)), "nests values more than 40 deep"),
    ("deep.json", "[" * 50 + "]" * 50, "nests values more than 40 deep"),
    ("deepest.json", "[" * 100_000, "nests values more than 40 deep"),
    ("many.yaml", "- 1\n" * 100_001, "holds a document of more than 100,000 values"),
    ("many.json", json.dumps([1] * 100_001), "holds a document of more than 100,000 values"),
    ("digits.yaml", "a: " + "9" * 5000, "holds a number of more than 38 digits"),
    ("digits.json", '{"a": ' + "9" * 400 + "}", "holds a number of more than 38 digits"),
    ("base60.yaml", "a: 1" + ":1" * 200_000, "holds a number of more than 38 digits"),
    ("large.json", " " * (MOST_BYTES_OF_JSON + 1), "is larger than 4 MiB"),
    ("set.yaml", "a: !!set {x}", "holds a value of the kind set"),
    ("date.yaml", "a: !!timestamp 2020-01-01", "holds a value of the kind date"),
    ("surrogate.json", '{"a": "\\ud800"}', "holds a character that is not valid Unicode"),
    ("tag.yaml", "a: !!python/object/apply:os.system [ls]", "is not valid YAML at line 1"),
    ("bool.yaml", "a: !!bool maybe", "is not valid YAML"),
    ("moment.yaml", "a: !!timestamp soon", "is not valid YAML"),
    ("whole.yaml", "a: !!int ''", "is not valid YAML"),
    ("digits_4301.json", '{"a": ' + "9" * 5000 + "}", "is not valid JSON"),
]


@pytest.mark.parametrize(("name", "text", "reason"), UNFIT, ids=[name for name, _, _ in UNFIT])
def test_an_unfit_document_is_refused_at_once(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text)
    begun = time.process_time()
    (found,) = document_files.read_documents(tmp_path / name)
    assert time.process_time() - begun < 10
    assert found.problem.startswith(f"The file {reason}")
    assert found.name.startswith(str(tmp_path / name))


def test_aliases_as_writers_make_them_are_read(tmp_path: Path) -> None:
    shared = [1, {"a": "b"}]
    content = {"first": shared, "second": shared, "third": [shared]}
    (tmp_path / "shared.yaml").write_text(yaml.safe_dump(content) + "---\na: &x {b: 1}\nc: {<<: *x, d: 2}\n")
    first, second = document_files.read_documents(tmp_path / "shared.yaml")
    assert "*id001" in (tmp_path / "shared.yaml").read_text()
    assert (first.content, second.content) == (content, {"a": {"b": 1}, "c": {"b": 1, "d": 2}})


def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.odc-metadata.yaml")
    os.mkfifo(tmp_path / "products.toml")
    for path in (tmp_path / "pipe.odc-metadata.yaml", Path("/dev/zero")):
        assert [found.problem for found in document_files.read_documents(path)] == ["The file is no regular file."]
    for path in (tmp_path / "products.toml", Path("/dev/zero")):
        with pytest.raises(InputError, match=rf"^The products file {path.name} is no regular file\.$"):
            load_profiles(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a" + ".a" * 50_000 + " = 1", "has a key of more than 16 parts"),
        ('"a b"' + ' . "a b"' * 20_000 + " = 1", "has a key of more than 16 parts"),
        ("a = " + "9" * 5000, "holds a number of more than 4,300 digits"),
        ("a = " + "[" * 50_000, "nests conditions too deeply"),
        ("#" * (2**18 + 1), "is larger than 256 KiB"),
    ],
)
def test_an_unfit_products_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "products.toml").write_text(text)
    with pytest.raises(InputError, match=r"products\.toml " + reason):
        load_profiles(tmp_path / "products.toml")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**309),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.one_of(st.text(max_size=200), JUNK.map(json.dumps), JUNK.map(str)),
    st.sampled_from(["yaml", "json"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_parsed_or_refused_in_a_sentence(tmp_path: Path, text: str, kind: str) -> None:
    path = tmp_path / f"any.{kind}"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    for found in document_files.read_documents(path):
        assert not found.problem or (found.problem.startswith("The file ") and found.problem.endswith("."))


def paths_of(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of all values in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, each in inner for path in paths_of(each, (*at, key)))]


PLACES = [path for path in paths_of(document()) if path]


@pytest.mark.index
@given(edits=st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=4), extra=JUNK)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_no_document_costs_another(dea_catalog: OdcCatalog, tmp_path: Path, edits: list[Any], extra: Any) -> None:
    bad, good = document(), document()
    for (*way, last), junk in edits:
        inner: Any = bad
        for key in way:
            inner = inner[key] if isinstance(inner, dict) and key in inner else None
        if isinstance(inner, dict):
            inner[last] = junk
    bad["properties"] = {**bad["properties"], "extra": extra} if isinstance(bad["properties"], dict) else extra
    paths = [written(tmp_path, bad, "bad.json"), written(tmp_path, good, "good.json")]
    report = add_scenes(dea_catalog, paths)
    assert report.added >= 1
    assert dea_catalog.index.datasets.has(good["id"])
    assert {Path(name).name for name, _ in report.failed} <= {"bad.json"}
    assert all(reason.endswith(".") and "\n" not in reason for _, reason in report.failed)


@pytest.mark.index
def test_a_document_does_not_choose_its_folder_on_this_machine(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "link").symlink_to(there)
    for number, location in enumerate(
        ("file:///etc/scene.yaml", f"file://{there}/s.yaml", f"file://{here}/link/s.yaml")
    ):
        written(here, document(location=location), f"{number}.json")
    written(here, document(location=f"file://{here}/deeper/s.yaml"), "3.json")
    report = add_scenes(dea_catalog, [here / "*.json"])
    assert report.added == 1
    assert {reason for _, reason in report.failed} == {
        "Its location is in another folder than the file; if that is right, list it in GREENUP_DATA_ROOTS."
    }
    assert add_scenes(dea_catalog, [here / "*.json"], access=Access(roots=(str(there),))).added == 2


@pytest.mark.index
def test_bands_that_will_not_be_read_are_warned_of(dea_catalog: OdcCatalog, tmp_path: Path) -> None:
    scene = document()
    scene["measurements"]["nbart_red"]["path"] = "http://me:secret@127.0.0.1/red.tif?sig=secret"
    scene["measurements"]["nbart_nir"]["path"] = "/etc/passwd"
    warnings = [warning for _, warning in add_scenes(dea_catalog, [written(tmp_path, scene)]).warnings]
    assert any(
        each.startswith("http://127.0.0.1/red.tif lies on 127.0.0.1, which is this machine") for each in warnings
    )
    assert any(each.startswith("passwd lies outside of the folder of its document") for each in warnings)
    assert "secret" not in "".join(warnings)


@pytest.mark.index
def test_a_bad_definition_does_not_keep_the_good_ones_out(empty_index: Settings, tmp_path: Path) -> None:
    (tmp_path / "bomb.yaml").write_text(ALIASES)
    (tmp_path / "junk.yaml").write_text(yaml.safe_dump({"name": "x", "metadata_type": "eo3"}))
    good = DEFINITIONS / "products" / f"{PRODUCT}.odc-product.yaml"
    with pytest.raises(InputError) as refusal:
        add_products(empty_index, [tmp_path / "bomb.yaml", good, tmp_path / "junk.yaml"])
    told = str(refusal.value)
    assert told.startswith("Added all but 2 of 3 definitions, which were refused: bomb.yaml: The file holds a document")
    assert "junk.yaml is not a valid definition" in told
    assert add_products(empty_index, [good]) == [PRODUCT]


@pytest.mark.index
def test_the_command_says_how_many_were_refused_and_why(
    empty_index: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert empty_index.index_url is not None
    monkeypatch.setenv("GREENUP_INDEX_URL", empty_index.index_url.get_secret_value())
    add_products(empty_index, [DEFINITIONS / "products" / f"{PRODUCT}.odc-product.yaml"])
    (tmp_path / "bomb.yaml").write_text(ALIASES)
    answer = CliRunner().invoke(app, ["index", "add", str(SINGLE), str(tmp_path / "bomb.yaml")])
    assert "1 scenes added, 0 there already, 1 refused." in answer.output
    assert "bomb.yaml: The file holds a document of more than 100,000 values." in answer.output
    assert isinstance(answer.exception, InputError)
    assert str(answer.exception) == "1 of 2 documents were refused, all others are in the index; see the reasons above."


FILES = (
    "+proj=utm +zone=55 +ellps=GRS80 +nadgrids={} +units=m +type=crs",
    "+proj=longlat +ellps=GRS80 +geoidgrids={} +type=crs",
    "+init={}:1",
    "+proj=tinshift +file={}",
    "+proj=defmodel +model={}",
    'BOUNDCRS[SOURCECRS[GEOGCRS["a"]],TARGETCRS[GEOGCRS["b"]],ABRIDGEDTRANSFORMATION["c",PARAMETERFILE["d","{}"]]]',
)


@pytest.mark.index
@pytest.mark.parametrize("crs", FILES)
def test_a_crs_names_no_file(dea_catalog: OdcCatalog, tmp_path: Path, crs: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    report = add_scenes(dea_catalog, [written(tmp_path, document(crs=crs.format(tmp_path / "pipe")))])
    ((_, reason),) = report.failed
    assert "crs names a file" in reason


@pytest.mark.parametrize(
    "crs", ["EPSG:32755", "epsg:4326", "+init=epsg:32755", "+proj=utm +zone=55 +south", "PROFILE[1]"]
)
def test_a_crs_that_names_no_file_is_left_to_proj(crs: str) -> None:
    refuse_crs(crs)


@pytest.mark.index
@pytest.mark.parametrize(
    "grid",
    [
        {"shape": [2**63 - 1, 2**63 - 1]},
        {"shape": [-5, 10]},
        {"shape": [0, 10]},
        {"shape": [10, 10**9]},
        {"transform": [1e300, 0, 0, 0, -30, 0, 0, 0, 1]},
        {"transform": [30, 0, 1e12, 0, -30, 0, 0, 0, 1]},
    ],
)
def test_a_grid_is_one_that_a_scene_can_have(dea_catalog: OdcCatalog, tmp_path: Path, grid: dict[str, Any]) -> None:
    scene = document()
    scene["grids"]["default"] |= grid
    report = add_scenes(dea_catalog, [written(tmp_path, scene)])
    ((_, reason),) = report.failed
    assert "grid" in reason
