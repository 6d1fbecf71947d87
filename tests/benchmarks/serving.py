"""Measured server, as a client process sees it: its URL, its result and its resources."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Self

import aiohttp
from distributed.security import Security

from compute.cluster import credentials
from compute.errors import ClusterError
from tests.benchmarks.results import SyntheticResult

WORKERS = 2

_STOP_S = 60.0

# Creating a result of several gigabytes takes minutes.
_PATIENCE = aiohttp.ClientTimeout(total=3600.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Resources of the server process.

    Attributes
    ----------
    rss : int
        Resident memory in bytes.
    received : int or None
        Bytes received by its sockets, including those of its scheduler; None if the system does not report them.
    """

    rss: int
    received: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldResult:
    """Result on the workers of a cluster.

    Attributes
    ----------
    name : str
        Token of the stack, by which another client of the cluster finds its blocks.
    scheduler : str
        Address of the scheduler.
    workers, threads : int
        Workers of the cluster, and threads of all workers.
    memory_bytes : int
        Memory limits of all workers together.
    security : distributed.security.Security or None
        Credentials of a local cluster; None for a Gateway.
    """

    name: str
    scheduler: str
    workers: int
    threads: int
    memory_bytes: int
    security: Security | None = field(repr=False)


class MeasuredServer:
    """Running server in another process.

    Parameters
    ----------
    session : aiohttp.ClientSession
        Session whose base URL is that of the server.
    security : distributed.security.Security or None
        Credentials of its local cluster.
    """

    def __init__(self, session: aiohttp.ClientSession, security: Security | None) -> None:
        self._session = session
        self._security = security

    @classmethod
    @asynccontextmanager
    async def run_server(cls, cluster: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Self]:
        """Run the server with two workers until the body ends.

        Parameters
        ----------
        cluster : str
            ``"local"`` or ``"gateway"``.
        environment : mapping of str to str, optional
            Further environment variables of the process.

        Raises
        ------
        ClusterError
            The server did not start; the reason is on standard error.
        """
        # Messages about closed connections would disturb the report.
        logging.getLogger("distributed").setLevel(logging.ERROR)
        # Dask would otherwise leave a folder in the working directory.
        with TemporaryDirectory(prefix="greenup-bench-") as home:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.benchmarks.server", cluster, str(WORKERS)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "DASK_TEMPORARY_DIRECTORY": home, **(environment or {})},
                # The server does not receive Ctrl-C of this terminal; it stops its workers when its input closes.
                start_new_session=True,
            )
            try:
                address, security = await _read_announcement(process)
                async with _open_session(address) as session:
                    yield cls(session, security)
            finally:
                await _stop_server(process)

    async def hold_result(self, synthetic: SyntheticResult, *, kept: bool = False) -> HeldResult:
        """Create a result on the workers, replacing the previous one.

        Parameters
        ----------
        synthetic : SyntheticResult
            Specification of the result.
        kept : bool
            Whether to store the result and show it from its store only.
        """
        rows, columns = synthetic.shape
        words: dict[str, int | str] = {
            "rows": rows,
            "columns": columns,
            "chunk_px": synthetic.chunk_px,
            "kept": str(kept),
        }
        async with self._session.post("/bench/hold", params=words) as answer:
            answer.raise_for_status()
            return HeldResult(**await answer.json(), security=self._security)

    async def read_cost(self) -> Cost:
        """Return the resources of the server process."""
        async with self._session.get("/bench/cost") as answer:
            return Cost(**await answer.json())

    async def fetch_tile(self, path: str) -> None:
        """Fetch a tile completely.

        Raises
        ------
        ClusterError
            The response is not a tile, so the figures would have no meaning.
        """
        async with self._session.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
            await answer.read()
            if answer.status != 200:
                raise ClusterError(f"The server answered a tile of the benchmark with {answer.status}.")


async def _read_announcement(process: asyncio.subprocess.Process) -> tuple[str, Security | None]:
    """Return the URL of the server, and the credentials of its cluster, from its first line."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise ClusterError("The server of the benchmark did not start; the lines above have the reason.")
    told = json.loads(line)
    return f"http://127.0.0.1:{told['port']}", told["credentials"] and credentials(*told["credentials"])


def _open_session(address: str) -> aiohttp.ClientSession:
    # Bodies stay compressed, since a browser does not decompress them in this process either.
    return aiohttp.ClientSession(address, timeout=_PATIENCE, auto_decompress=False)


async def _stop_server(process: asyncio.subprocess.Process) -> None:
    """Stop the server and its workers by closing its standard input."""
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(_STOP_S):
        await process.wait()
