"""``greenup plan``: estimate the cost of a request, without computation or cluster."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from compute.files.file_kinds import require_regular_file
from dashboard.cli.arguments import given_file
from dashboard.cli.options import AsJson, RequestOptions, with_request_options
from dashboard.cli.output import print_json, print_pairs
from dashboard.formatting import size_text

if TYPE_CHECKING:
    from compute.plan import NdviPlan, SeasonPlan
    from compute.settings import Settings


@with_request_options
def plan(options: RequestOptions, as_json: AsJson = False) -> None:
    """Estimate how much a request reads, computes and stores, without computing it."""
    from compute.settings import load_settings

    planned = make_plan(options, load_settings())
    if as_json:
        print_json(planned.summary())
    else:
        print_plan(planned)


def make_plan(options: RequestOptions, settings: Settings) -> NdviPlan:
    """Plan the request of the command line with the index, or restore the plan of an earlier result.

    Scenes may be read from servers on this machine, because users of its command line can reach these servers anyway.
    """
    settings = settings.model_copy(update={"own_machine": True})
    if options.again is not None:
        options.check_alone()
        return _plan_again(options.again, settings)
    # Options and files are checked before the index is opened and its libraries are imported.
    draft, products = options.draft(), given_file(options.products, "products")
    from compute.catalog import open_catalog
    from compute.jobs import plan_request
    from compute.products import load_profiles

    profiles = load_profiles(products)
    with open_catalog(settings) as catalog:
        return plan_request(draft.complete(catalog, profiles), catalog, profiles, settings)


def _plan_again(result: Path, settings: Settings) -> NdviPlan:
    require_regular_file(result, "again", or_folder=True)
    from compute.catalog import open_catalog
    from compute.jobs import plan_again
    from compute.settings.home import load_access_rules

    return plan_again(result, partial(open_catalog, settings), load_access_rules(settings))


def print_plan(planned: NdviPlan) -> None:
    """Print a plan as a table."""
    request, (rows, columns) = planned.request, planned.grid.shape
    west, south, east, north = request.region.bbox
    pixel_y, pixel_x = planned.grid.resolution
    print_pairs(
        "Plan",
        [
            ("products", ", ".join(request.products)),
            ("region", f"{west:.8g} to {east:.8g} E, {south:.8g} to {north:.8g} N"),
            ("time", f"{request.start} to {request.end}"),
            ("scenes", f"{len(planned.sources):,}"),
            *((f"season {season.label}", _season_text(season)) for season in planned.seasons),
            ("grid", f"{columns:,} x {rows:,} px of {pixel_x:g} x {pixel_y:g} in {planned.grid.crs}"),
            ("blocks", f"{len(planned.blocks):,} of at most {max(planned.chunks[1])} x {max(planned.chunks[0])} px"),
            ("tasks", f"{planned.task_count:,}"),
            ("to read", f"about {size_text(planned.bytes_to_read)}, decoded; less where the ground is hidden"),
            ("result", size_text(planned.result_bytes)),
            ("worker memory", _memory_text(planned)),
            *_bands_text(planned),
            *(("note", note) for note in planned.notes),
        ],
    )


def _bands_text(planned: NdviPlan) -> list[tuple[str, str]]:
    """Return rows that describe the bands and masks of each product."""
    from compute.products import describe_roles

    several = len(planned.roles) > 1
    return [
        (f"{product} {name}" if several else name, words)
        for product, roles in sorted(planned.roles.items())
        for name, words in describe_roles(roles)
    ]


def _memory_text(planned: NdviPlan) -> str:
    more = size_text(planned.task_bytes)
    return f"{size_text(planned.worker_bytes())}, {more} more for each further thread; without --out, also the result"


def _season_text(season: SeasonPlan) -> str:
    text = f"{season.dates} dates, {season.scenes} scenes"
    if not season.missing:
        return text
    return f"{text}; incomplete, {season.coverage}, without {', '.join(season.missing)}"
