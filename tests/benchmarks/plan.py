"""Benchmark `plan`: search, plan and graph of two decades of Tasmania, without computing them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compute.catalog import add_products, add_scenes
from compute.errors import GreenupError, InputError
from compute.settings import Settings
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.places import temporary_index
from tests.benchmarks.plan_documents import write_documents

_SEED = 1


def bench_plan(scenes: int, *, by: str = "season", show_status: Callable[[str], None]) -> dict[str, Any]:
    """Fill an index, then search, plan and build the graph in a new process. Filling is not measured.

    Parameters
    ----------
    scenes : int
        Number of documents in the index, spread over 2001 to 2020, Tasmania and four satellites.
    by : str
        ``"season"`` or ``"season-year"``.
    show_status : callable
        Called with a short description of each step.

    Returns
    -------
    dict
        Result of `tests.benchmarks.plan_probe.measure_planning`, with ``by`` and ``machine``.

    Raises
    ------
    InputError
        A number is out of bounds.
    GreenupError
        The index or the planning failed.
    """
    if not 1 <= scenes <= 20_000:
        raise InputError("scenes", f"The number of scenes must be from 1 to 20000, not {scenes}.")
    if by not in ("season", "season-year"):
        raise InputError("by", f"--by {by[:40]!r} is not known; give season or season-year.")
    with TemporaryDirectory(prefix="greenup-bench-") as home, temporary_index(Path(home)) as settings:
        _fill_index(settings, Path(home), scenes, show_status)
        show_status("The plan is made")
        return {**_run_probe(settings, by), "by": by, "machine": describe_machine()}


def _fill_index(settings: Settings, home: Path, count: int, show_status: Callable[[str], None]) -> None:
    folder = home / "documents"
    folder.mkdir()
    show_status("Documents are written")
    products, scenes = write_documents(folder, count, _SEED)
    add_products(settings, products)
    report = add_scenes(
        settings, scenes, progress=lambda done, _: show_status(f"{done} of {len(scenes)} scenes are indexed")
    )
    if report.failed:
        raise GreenupError(f"The benchmark's own documents were refused: {report.failed[0][1]}")


def _run_probe(settings: Settings, by: str) -> dict[str, Any]:
    """Run the probe in a new process, which has its own memory and does not receive Ctrl-C of this terminal."""
    assert settings.index_url is not None
    environment = os.environ | {"GREENUP_INDEX_URL": settings.index_url.get_secret_value()}
    command = [sys.executable, "-m", "tests.benchmarks.plan_probe", by]
    done = subprocess.run(  # our own module
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True, check=False
    )
    if done.returncode:
        raise GreenupError("The planning failed; see above.")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
