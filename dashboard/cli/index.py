"""``greenup index``: manage the index of scenes, which is embedded by default."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from compute.errors import InputError
from dashboard.cli.arguments import given_documents, given_file, path_argument, path_option
from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, print_pairs, to_people

if TYPE_CHECKING:
    from compute.catalog import AddReport, IndexStatus

app = typer.Typer(help="Manage the Open Data Cube index of scenes.", no_args_is_help=True)

_SHOWN = 20


@app.command()
def init(as_json: AsJson = False) -> None:
    """Create missing tables of the index; safe to repeat."""
    from compute.catalog import init_index
    from compute.settings import load_settings

    _print_status(init_index(load_settings()), as_json)


@app.command("add-product")
def add_product(
    files: Annotated[list[Path], path_argument("ODC product or metadata type documents.")],
    as_json: AsJson = False,
) -> None:
    """Add ODC product definitions, and the metadata types they name."""
    from compute.catalog import add_products
    from compute.settings import load_settings

    for file in files:
        given_file(file, "files")
    names = add_products(load_settings(), files)
    if as_json:
        print_json({"products": names})
    else:
        typer.echo(f"The index has {', '.join(names)}.")


@app.command()
def add(
    paths: Annotated[list[str], typer.Argument(help="EO3 documents: files, globs, or directories.")],
    products: Annotated[
        Path | None,
        path_option("products.toml that describes further products, whose needs are checked.", metavar="FILE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add scenes from EO3 documents in bulk; scenes that are in the index already stay as they are."""
    from compute.catalog import add_scenes
    from compute.products import load_profiles
    from compute.settings import load_settings
    from compute.settings.home import record_data_root

    given_documents(paths)
    profiles = load_profiles(given_file(products, "products"))
    settings = load_settings().model_copy(update={"own_machine": True})
    for folder in filter(Path.is_dir, map(Path, paths)):
        record_data_root(settings, folder)
    with Progress(console=to_people(), transient=True) as progress:
        task = progress.add_task("Adding scenes", total=None)
        report = add_scenes(
            settings,
            paths,
            profiles=profiles,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    _print_added(report, as_json)
    if report.failed:
        total = len(report.failed) + report.added + report.present
        count = f"{len(report.failed)} of {total}" if report.added or report.present else f"None of the {total}"
        be = "were refused, all others are in the index" if report.added or report.present else "could be added"
        raise InputError("paths", f"{count} documents {be}; see the reasons above.")


def _print_added(report: AddReport, as_json: bool) -> None:
    if as_json:
        failed = [{"document": name, "reason": reason} for name, reason in report.failed]
        warnings = [{"document": name, "warning": warning} for name, warning in report.warnings]
        counts = {"added": report.added, "present": report.present}
        print_json(counts | {"failed": failed, "warnings": warnings, "passed_over": list(report.passed_over)})
        return
    typer.echo(f"{report.added} scenes added, {report.present} there already, {len(report.failed)} refused.")
    _print_some([f"{name}: {reason}" for name, reason in report.failed])
    if report.warnings:
        typer.echo("Warnings:", err=True)
        _print_some([f"{name}: {warning}" for name, warning in report.warnings])
    if report.passed_over:
        typer.echo(
            "Passed over, as folders are searched for *.odc-metadata.yaml alone; name them to add them:", err=True
        )
        _print_some(report.passed_over)


def _print_some(lines: Sequence[str]) -> None:
    for line in lines[:_SHOWN]:
        typer.echo(f"  {line}", err=True)
    if len(lines) > _SHOWN:
        typer.echo(f"  and {len(lines) - _SHOWN} more", err=True)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Print the address of the index and its numbers of products and scenes."""
    from compute.catalog import index_status
    from compute.settings import load_settings

    _print_status(index_status(load_settings()), as_json)


def _print_status(found: IndexStatus, as_json: bool) -> None:
    products = [
        {
            "name": each.name,
            "scenes": each.scenes,
            "first": None if each.first is None else each.first.isoformat(),
            "last": None if each.last is None else each.last.isoformat(),
        }
        for each in found.products
    ]
    if as_json:
        print_json({"kind": found.kind, "location": found.location, "products": products})
        return
    rows = [(str(p["name"]), _product_text(p["scenes"], p["first"], p["last"])) for p in products]
    print_pairs("Index", [("kind", found.kind), ("location", found.location), *(rows or [("products", "none")])])


def _product_text(scenes: object, first: object, last: object) -> str:
    return f"{scenes} scenes, {first} to {last}" if scenes else "no scenes"
