"""``/metrics`` in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tornado.web import RequestHandler

from compute.tiles.tile_queue import TileQueue
from dashboard.event_loop_lag import BOUNDS_S, LoopLag
from dashboard.server.response_policy import NO_DOCUMENT
from dashboard.services import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of the text format; see https://prometheus.io/docs/instrumenting/exposition_formats/."""

_OUTCOMES = ("cached", "joined", "made", "failed", "dropped", "too_many", "overload")


class MetricsHandler(RequestHandler):
    """``/metrics``: metrics of the whole server, without data of any visitor."""

    def initialize(self, services: Services) -> None:
        """Store the services that all routes share."""
        self.services = services

    def get(self) -> None:
        """Write all metrics."""
        for name, value in NO_DOCUMENT.items():
            self.set_header(name, value)
        self.set_header("Content-Type", CONTENT_TYPE)
        self.set_header("Cache-Control", "no-store")
        self.finish(format_metrics(self.services.tiles, self.services.lag))


def format_metrics(tiles: TileQueue, lag: LoopLag) -> str:
    """Return the metrics in Prometheus' text exposition format.

    Parameters
    ----------
    tiles : TileQueue
        Queue and cache of tiles.
    lag : LoopLag
        Lag of the event loop.
    """
    by_outcome = {f'{{outcome="{name}"}}': tiles.outcomes[name] for name in _OUTCOMES}
    buckets = {
        f'_bucket{{le="{bound}"}}': count
        for bound, count in zip((*BOUNDS_S, "+Inf"), lag.cumulative_counts, strict=True)
    }
    series = buckets | {"_sum": round(lag.total_s, 6), "_count": lag.cumulative_counts[-1]}
    lines = [
        *_format_family("greenup_tiles_total", "counter", "Requested tiles by outcome.", by_outcome),
        *_format_family("greenup_tiles_waiting", "gauge", "Tiles waiting in the queue.", {"": tiles.waiting}),
        *_format_family("greenup_tiles_making", "gauge", "Tiles being computed.", {"": tiles.making}),
        *_format_family("greenup_tile_cache_bytes", "gauge", "Memory of finished tiles.", {"": tiles.kept.currsize}),
        *_format_family("greenup_loop_lag_seconds", "histogram", "Lag of the event loop.", series),
    ]
    return _join_lines(lines)


def _format_family(name: str, kind: str, words: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"
    yield from (f"{name}{suffix} {value}" for suffix, value in values.items())


def _join_lines(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
