"""The native run on scenes that are far away, and what fetching the same bytes takes with nothing else to do."""

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
from tests.benchmarks.contenders import Greenup, finished
from tests.benchmarks.places import Bench, Place

CONNECTIONS = 16
"""Requests of the plain fetch that are under way at once, in all workers together."""

_TIMEOUT_S = 60.0

Range = tuple[str, int, int]
"""Path below the folder that is served, first byte, and byte after the last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """A running server of byte ranges: ``HOST:PORT``, and the folder that it serves."""

    host: str
    root: Path

    def served(self, run: str) -> list[Range]:
        """Return the ranges that a run was served so far, in their order."""
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
        The folder.
    latency_ms : float
        Time before every response, in milliseconds.

    Yields
    ------
    Store
        In a process of its own, which a Ctrl-C on this terminal does not reach before this one.
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
                raise GreenupError("The server of the remote run did not start; see that 127.0.0.1 has a free port.")
            yield Store(host=f"127.0.0.1:{port}", root=root)
        finally:
            server.stdin.close()


class RemoteGreenup(Greenup):
    """The native run, its scenes at the addresses of a store; every run asks for all bytes anew.

    Parameters
    ----------
    store : Store
        Serves the folder that the input is in.
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

    def prepare(self, bench: Bench, place: Place) -> NdviPlan:
        """Plan, and send the tasks to the store."""
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
    """Fetching what a run was served, every range once, over connections that are kept.

    Parameters
    ----------
    store : Store
        To fetch from.
    """

    name = "plain_fetch"

    def __init__(self, store: Store) -> None:
        self._store = store
        self.ranges: list[Range] = []

    def prepare(self, bench: Bench, place: Place) -> list[list[Range]]:  # a `Contender`'s signature
        """Deal the ranges to two workers."""
        return [self.ranges[number::2] for number in range(2)]

    async def run(self, lazy: list[list[Range]], client: Any) -> list[Any]:
        """Fetch, on every worker its share."""
        workers = list((await client.scheduler.identity(n_workers=-1))["workers"])
        futures = [
            client.submit(fetch, self._store.host, part, CONNECTIONS // len(lazy), workers=[worker], pure=False)
            for part, worker in zip(lazy, workers, strict=True)
        ]
        await finished(futures)
        return futures

    def means(self, result: list[Any]) -> xr.DataArray | None:  # likewise
        """Return nothing: no mean was taken."""
        return None


def fetch(host: str, ranges: Sequence[Range], connections: int) -> int:
    """Fetch byte ranges over so many connections at once, and return how many bytes came; the task of `PlainFetch`."""
    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(lambda number: _fetch(host, ranges[number::connections]), range(connections)))


def _fetch(host: str, ranges: Sequence[Range]) -> int:
    connection = HTTPConnection(host, timeout=_TIMEOUT_S)
    total = 0
    try:
        for path, first, last in ranges:
            connection.request("GET", f"/fetch/{quote(path)}", headers={"Range": f"bytes={first}-{last - 1}"})
            total += len(connection.getresponse().read())
    finally:
        connection.close()
    return total
