"""``/metrics`` in Prometheus format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tornado.web import RequestHandler

from compute.tiles import TileQueue
from dashboard.event_loop_lag import BOUNDS_S, LoopLag
from dashboard.server.response_policy import NO_DOCUMENT
from dashboard.services import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""https://prometheus.io/docs/instrumenting/exposition_formats/"""

_OUTCOMES = ("cached", "joined", "made", "failed", "dropped", "too_many", "overload")


class MetricsHandler(RequestHandler):
    """``/metrics``: numbers of the whole server, none of a visitor."""

    def initialize(self, services: Services) -> None:
        """Receive what the composition root built."""
        self.services = services

    def get(self) -> None:
        """Answer all of them."""
        for name, value in NO_DOCUMENT.items():
            self.set_header(name, value)
        self.set_header("Content-Type", CONTENT_TYPE)
        self.set_header("Cache-Control", "no-store")
        self.finish(metrics_text(self.services.tiles, self.services.lag))


def metrics_text(tiles: TileQueue, lag: LoopLag) -> str:
    """Return the numbers as text, one a line."""
    by_outcome = {f'{{outcome="{name}"}}': tiles.outcomes[name] for name in _OUTCOMES}
    buckets = {f'_bucket{{le="{bound}"}}': count for bound, count in zip((*BOUNDS_S, "+Inf"), lag.at_most, strict=True)}
    series = buckets | {"_sum": round(lag.total_s, 6), "_count": lag.at_most[-1]}
    lines = [
        *_family("greenup_tiles_total", "counter", "Tiles asked for, by how that ended.", by_outcome),
        *_family("greenup_tiles_waiting", "gauge", "Tiles that wait until others are made.", {"": tiles.waiting}),
        *_family("greenup_tiles_making", "gauge", "Tiles in the making.", {"": tiles.making}),
        *_family("greenup_tile_cache_bytes", "gauge", "Memory of finished tiles.", {"": tiles.kept.currsize}),
        *_family("greenup_loop_lag_seconds", "histogram", "How late the event loop is.", series),
    ]
    return _text(lines)


def _family(name: str, kind: str, words: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"
    yield from (f"{name}{suffix} {value}" for suffix, value in values.items())


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
