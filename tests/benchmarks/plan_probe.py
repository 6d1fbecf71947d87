"""Planning in a separate process: ``python -m tests.benchmarks.plan_probe BY`` prints one JSON object.

The index is that of ``GREENUP_INDEX_URL``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from dask.base import collections_to_expr
from distributed.protocol.serialize import serialize, to_serialize
from distributed.utils import nbytes

from compute.catalog import OdcCatalog, open_catalog
from compute.jobs import plan_request
from compute.plan import NdviPlan
from compute.products import load_profiles
from compute.request import NATIVE, NdviRequest
from compute.request.region import region_from_bbox
from compute.result.stack import SeasonStack, build_stack
from compute.settings import Settings
from tests.benchmarks.peak_memory import read_peak_memory
from tests.benchmarks.plan_documents import FIRST, LAST, REGION, SATELLITES

_PRODUCTS = tuple(each.product for each in SATELLITES)
_MAX_SCENES = 50_000
_MAX_RESULT_GIB = 1024.0
"""Limits of the benchmark: two decades by season-year exceed the limits of a server."""


def measure_planning(by: str) -> dict[str, Any]:
    """Search, plan and serialise the graph of a request, and measure each step.

    Parameters
    ----------
    by : str
        ``"season"`` or ``"season-year"``.

    Returns
    -------
    dict
        ``search_s``, ``plan_s`` and ``graph_s`` in seconds, ``tasks``, ``graph_mb`` and ``rss_mb`` in units of 10**6
        bytes, ``scenes`` and ``blocks``, ready for JSON.
    """
    settings = Settings(max_scenes=_MAX_SCENES, max_result_gib=_MAX_RESULT_GIB)
    request = _request(by)
    search, whole, graph = _Stopwatch(), _Stopwatch(), _Stopwatch()
    with whole:
        plan = _plan(request, settings, search)
    with graph:
        stack = build_stack(plan, "bench")
        size = _sent_bytes(stack)
    return {
        "search_s": round(search.seconds, 3),
        "plan_s": round(whole.seconds - search.seconds, 3),
        "graph_s": round(graph.seconds, 3),
        "tasks": len(stack.__dask_graph__()),
        "graph_mb": round(size / 1e6, 2),
        "rss_mb": round(read_peak_memory() / 1e6, 1),
        "scenes": len(plan.sources),
        **_size_of(plan),
    }


def _request(by: str) -> NdviRequest:
    return NdviRequest(
        products=_PRODUCTS,
        region=region_from_bbox(*REGION),
        start=FIRST,
        end=LAST,
        by=by,  # type: ignore[arg-type]  # the request refuses any other word
        crs=NATIVE,
    )


def _plan(request: NdviRequest, settings: Settings, search: _Stopwatch) -> NdviPlan:
    with ExitStack() as stack:
        with search:
            catalog = stack.enter_context(open_catalog(settings))
        timed: Any = _TimedCatalog(catalog, search)
        return plan_request(request, timed, load_profiles(None), settings)


class _Stopwatch:
    """Sums the seconds of ``with`` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started


class _TimedCatalog:
    """Catalogue whose method calls are timed."""

    def __init__(self, catalog: OdcCatalog, stopwatch: _Stopwatch) -> None:
        self._catalog = catalog
        self._stopwatch = stopwatch

    def __getattr__(self, name: str) -> Any:
        answer = getattr(self._catalog, name)

        def timed(*words: Any, **named: Any) -> Any:
            with self._stopwatch:
                return answer(*words, **named)

        return timed


def _sent_bytes(stack: SeasonStack) -> int:
    """Return the size of the message that `distributed.Client.persist` sends for a stack."""
    expression = collections_to_expr([stack]).optimize()
    _, frames = serialize(to_serialize(expression), on_error="raise")
    return sum(map(nbytes, frames))


def _size_of(plan: NdviPlan) -> dict[str, int]:
    return {"blocks": len(plan.blocks), "reads": sum(len(group) for block in plan.blocks for group in block.groups)}


def main(arguments: Sequence[str]) -> None:
    """Measure the planning and print the result."""
    print(json.dumps(measure_planning(arguments[0])))  # to the process that started this one


if __name__ == "__main__":
    main(sys.argv[1:])
