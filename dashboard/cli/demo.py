"""``greenup demo``: scenes to try Greenup with, on a machine that has none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer
from rich.progress import Progress

from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, to_people

if TYPE_CHECKING:
    from collections.abc import Callable

QUARTER = (
    "greenup run --bbox=146.6,-42.1,148.4,-40.7 --time 2020-12-01/2021-11-30 "
    "--product ga_ls8c_ard_3 --by season --out demo-result --overwrite"
)
"""The command to try next: the north-east of the island, about a quarter of it, over one year."""


def demo(as_json: AsJson = False) -> None:
    """Write the demo scenes over Tasmania, synthetic Landsat 8, and add them to the index; safe to repeat."""
    from compute.catalog import add_products, add_scenes, init_index
    from compute.demo import product_document, write_scenes
    from compute.settings import load_settings

    settings = load_settings()
    with Progress(console=to_people(), transient=True) as progress:
        documents = write_scenes(settings.home / "demo", progress=_shown(progress, "Writing demo scenes"))
        init_index(settings)
        add_products(settings, [product_document()])
        report = add_scenes(settings, documents, progress=_shown(progress, "Adding them to the index"))
    if as_json:
        print_json({"scenes": len(documents), "added": report.added, "present": report.present})
        return
    typer.echo(f"{len(documents)} synthetic scenes over Tasmania are ready. Now try:{os.linesep}  {QUARTER}")


def _shown(progress: Progress, description: str) -> Callable[[int, int | None], None]:
    task = progress.add_task(description, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)
