"""A field that is added to the request record appears wherever fields do, without a change anywhere else."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, replace
from typing import Any, get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from compute.errors import InputError
from compute.kernels import NDVI_LIMIT
from compute.request import NdviRequest, field_table
from compute.request.field_kinds import Choice, Flag, Number
from compute.request.field_table import request_field
from compute.request.record import annotation_types
from dashboard.cli.options import RequestOptions, with_request_options
from tests.option_table import README, option_table, replaced
from tests.strategies import request_of

pytestmark = pytest.mark.unit


@dataclass(frozen=True, kw_only=True)
class WiderRequest(NdviRequest):
    """A request with a field more of each kind that is usual."""

    max_cloud: float = request_field(
        100.0,
        Number(least=0, greatest=100),
        label="Most cloud",
        hint="Per cent of a scene",
        help="Most cloud of a scene, in per cent.",
        group="Observations",
    )
    orbit: str = request_field(
        "both",
        Choice(labels={"both": "both orbits", "ascending": "ascending orbits"}),
        label="Orbit",
        help="Orbits to use.",
        group="Sensors",
    )
    median: bool = request_field(False, Flag(), label="Median", help="Keep the median.", group="Further layers")
    batch: int = request_field(
        1,
        Number(least=1, greatest=9, whole=True),
        label="Batch",
        help="Scenes of one read.",
        group="Grid",
        setter="settings",
    )


ADDED = {"max_cloud": 20.0, "orbit": "ascending", "median": True, "batch": 4}


def wider(**changes: Any) -> WiderRequest:
    usual = request_of()
    return WiderRequest(products=usual.products, region=usual.region, start=usual.start, end=usual.end, **changes)


# JSON and query strings


def test_added_fields_are_read_back_from_json_and_query_strings() -> None:
    request = wider(**ADDED)
    assert json.loads(request.to_json()).items() >= ADDED.items()
    assert WiderRequest.from_json(request.to_json()) == request
    assert "max_cloud=20.0" in request.to_query()
    assert WiderRequest.from_query(request.to_query()) == request


def test_an_added_field_at_its_default_changes_no_canonical_text() -> None:
    assert wider().to_json() == request_of().to_json()
    assert wider().to_query() == request_of().to_query()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_cloud": 101}, "The max cloud 101.0 is out of bounds; give one from 0 to 100."),
        ({"orbit": "polar"}, "The orbit 'polar' is not known; give one of both, ascending."),
        ({"median": "often"}, "The median 'often' is neither true nor false; give one of them."),
        ({"batch": 1.5}, "The batch '1.5' is not a whole number; give one from 1 to 9."),
    ],
)
def test_an_added_field_is_validated(changes: dict[str, Any], words: str) -> None:
    document = json.loads(request_of().to_json()) | changes
    with pytest.raises(InputError) as refused:
        WiderRequest.from_json(json.dumps(document))
    assert str(refused.value) == words
    assert [refused.value.field] == [name.replace("_", "-") for name in changes]


# Command line and README


def application(received: list[RequestOptions]) -> typer.Typer:
    """Return a command line whose one command receives the options of a wider request."""
    app = typer.Typer()

    def command(options: RequestOptions) -> None:
        received.append(options)

    app.command()(with_request_options(command, WiderRequest))
    return app


def test_an_added_field_is_an_option_with_its_help() -> None:
    shown = CliRunner().invoke(application([]), ["--help"], env={"COLUMNS": "200"}).output
    assert "--max-cloud" in shown
    assert "Most cloud of a scene, in per cent." in shown
    assert "both|ascending" in shown
    assert "--batch" not in shown


def test_an_added_option_is_parsed() -> None:
    received: list[RequestOptions] = []
    given = ["--bbox=146,-42,147,-41", "--time=2020-01-01/2020-12-31", "--product=landsat"]
    added = ["--max-cloud", "20", "--orbit", "ascending", "--median"]
    assert CliRunner().invoke(application(received), [*given, *added]).exit_code == 0
    request = received[0].draft().request
    assert isinstance(request, WiderRequest)
    assert (request.max_cloud, request.orbit, request.median, request.batch) == (20.0, "ascending", True, 1)


def test_an_added_field_has_a_row_in_the_table_of_options() -> None:
    assert (
        "| `--max-cloud NUMBER` | Most cloud of a scene, in per cent. | `100.0` |\n"
        "| `--orbit both\\|ascending` | Orbits to use. | `both` |\n"
        "| `--median` | Keep the median. |  |\n"
    ) in option_table(WiderRequest)


def test_the_readme_has_the_table_of_options() -> None:
    readme = README.read_text()
    assert replaced(readme) == readme, "write it anew: python -m tests.option_table"


# The table itself


def test_every_choice_of_a_type_is_a_choice_of_its_field() -> None:
    hints = get_type_hints(NdviRequest, localns=annotation_types())
    choices = {each.name: each.kind.words for each in field_table(NdviRequest) if isinstance(each.kind, Choice)}
    assert "weight" in choices
    assert {name: sorted(words) for name, words in choices.items()} == {
        name: sorted(get_args(hints[name])) for name in choices
    }


@pytest.mark.parametrize("each", field_table(NdviRequest), ids=lambda each: each.name)
def test_every_field_says_what_it_is(each: Any) -> None:
    assert each.help[0].isupper()
    assert each.help.endswith(".")
    assert each.label
    assert each.group
    assert each.is_required or each.unset or each.kind.parse(each.default_text, each.option) == each.default


def test_the_index_range_ends_at_the_limits_of_the_sums() -> None:
    assert request_of(index_range=(-NDVI_LIMIT, NDVI_LIMIT)).index_range == (-NDVI_LIMIT, NDVI_LIMIT)
    with pytest.raises(InputError, match="not in order within"):
        replace(request_of(), index_range=(0, 2 * NDVI_LIMIT))


def test_a_command_keeps_options_of_its_own() -> None:
    def command(options: RequestOptions, depth: int = 3) -> tuple[RequestOptions, int]:
        return options, depth

    wrapped = with_request_options(command)
    names = list(inspect.signature(wrapped).parameters)
    assert names[-1] == "depth"
    assert {"product", "bbox", "region", "min_clear", "mask_filter", "again"} < set(names)
