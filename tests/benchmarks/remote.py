"""Native run on remote scenes, and a plain fetch of the same bytes for comparison."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

import xarray as xr

from compute.errors import GreenupError
from compute.plan import NdviPlan
from compute.request import NATIVE
from compute.scenes import Source
from tests.benchmarks.contenders import Greenup, wait_for_futures
from tests.benchmarks.places import BenchmarkInput, Place

CONNECTIONS = 16
"""Concurrent requests of the plain fetch, in all workers together."""

_TIMEOUT_S = 60.0

Range = tuple[str, int, int]
"""Path below the served folder, first byte, and byte after the last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """Running server of byte ranges.

    Attributes
    ----------
    host : str
        ``HOST:PORT``.
    root : pathlib.Path
        Served folder.
    """

    host: str
    root: Path

    def served(self, run: str) -> list[Range]:
        """Return the ranges that a run has requested so far, in their order."""
        connection = HTTPConnection(self.host, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", f"/ranges/{run}")
            return [(path, first, last) for path, first, last in json.loads(connection.getresponse().read())]
        finally:
            connection.close()


@contextmanager
def open_store(root: Path, latency_ms: float) -> Iterator[Store]:
    """Run a server of the files below a folder for the time of a ``with`` block.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the files.
    latency_ms : float
        Latency of every response, in milliseconds.

    Yields
    ------
    Store
        Server in a process that does not receive Ctrl-C of this terminal.
    """
    command = [sys.executable, "-m", "tests.benchmarks.http_server", str(root), str(latency_ms)]
    with subprocess.Popen(  # our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = server.stdout.readline().strip()
            if not port:
                raise GreenupError("The server of the remote run did not start; check that 127.0.0.1 has a free port.")
            yield Store(host=f"127.0.0.1:{port}", root=root)
        finally:
            server.stdin.close()


class RemoteGreenup(Greenup):
    """Native run with the scenes at the URLs of a store; every run requests all bytes again.

    Parameters
    ----------
    store : Store
        Server of the input's folder.
    """

    def __init__(self, store: Store) -> None:
        super().__init__("remote", NATIVE)
        self._store = store
        self._runs = 0

    @property
    def _run_name(self) -> str:
        return f"run-{self._runs}"

    def served(self) -> list[Range]:
        """Return the byte ranges of the latest run, in their order."""
        return self._store.served(self._run_name)

    def prepare(self, bench: BenchmarkInput, place: Place) -> NdviPlan:
        """Plan, with the scenes at the URLs of the store."""
        self._runs += 1
        plan = super().prepare(bench, place)
        access = replace(plan.access, roots=(*plan.access.roots, f"http://{self._store.host}"))
        return replace(plan, sources=tuple(self._moved(source) for source in plan.sources), access=access)

    def _moved(self, source: Source) -> Source:
        bands = {name: replace(band, uri=self._address(band.uri)) for name, band in source.bands.items()}
        return replace(source, bands=bands)

    def _address(self, uri: str) -> str:
        path = Path(url2pathname(urlsplit(uri).path)).relative_to(self._store.root)
        return f"http://{self._store.host}/{self._run_name}/{quote(path.as_posix())}"


class PlainFetch:
    """Contender that fetches the ranges of a run once each, over persistent connections.

    Parameters
    ----------
    store : Store
        Server of the ranges.
    """

    name = "plain_fetch"

    def __init__(self, store: Store) -> None:
        self._store = store
        self.ranges: list[Range] = []

    def prepare(self, bench: BenchmarkInput, place: Place) -> list[list[Range]]:  # a `Contender`'s signature
        """Divide the ranges between two workers."""
        return [self.ranges[number::2] for number in range(2)]

    async def run(self, lazy: list[list[Range]], client: Any) -> list[Any]:
        """Fetch the ranges, each worker its share."""
        workers = list((await client.scheduler.identity(n_workers=-1))["workers"])
        futures = [
            client.submit(fetch_ranges, self._store.host, part, CONNECTIONS // len(lazy), workers=[worker], pure=False)
            for part, worker in zip(lazy, workers, strict=True)
        ]
        await wait_for_futures(futures)
        return futures

    def select_means(self, result: list[Any]) -> xr.DataArray | None:  # likewise
        """Return None: nothing is computed."""
        return None


def fetch_ranges(host: str, ranges: Sequence[Range], connections: int) -> int:
    """Fetch byte ranges, and return the number of bytes; a task.

    Parameters
    ----------
    host : str
        ``HOST:PORT`` of the store.
    ranges : sequence of Range
        Ranges to fetch.
    connections : int
        Concurrent connections.
    """
    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(lambda number: _fetch_in_sequence(host, ranges[number::connections]), range(connections)))


def _fetch_in_sequence(host: str, ranges: Sequence[Range]) -> int:
    connection = HTTPConnection(host, timeout=_TIMEOUT_S)
    total = 0
    try:
        for path, first, last in ranges:
            connection.request("GET", f"/fetch/{quote(path)}", headers={"Range": f"bytes={first}-{last - 1}"})
            total += len(connection.getresponse().read())
    finally:
        connection.close()
    return total
