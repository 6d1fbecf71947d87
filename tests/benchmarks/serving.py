"""The measured server as its visitors have it: an address, and what it says about itself."""

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
from tests.benchmarks.results import Synthetic

WORKERS = 2

_STOP_S = 60.0

# A result of gigabytes takes minutes to be made.
_PATIENCE = aiohttp.ClientTimeout(total=3600.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What the server process has cost so far.

    Attributes
    ----------
    rss : int
        Its resident memory, in bytes.
    received : int or None
        Bytes that its sockets have received, its scheduler's included; None where the system does not tell.
    """

    rss: int
    received: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Where a result lies.

    Attributes
    ----------
    name : str
        Token of the stack, by which another client of the cluster finds its blocks.
    scheduler : str
        Address.
    workers, threads : int
        Of the cluster, threads of all workers together.
    memory_bytes : int
        Memory limits of all workers together.
    security : distributed.security.Security or None
        Credentials of its cluster; None where the cluster is a Gateway's.
    """

    name: str
    scheduler: str
    workers: int
    threads: int
    memory_bytes: int
    security: Security | None = field(repr=False)


class Served:
    """A running server.

    Parameters
    ----------
    session : aiohttp.ClientSession
        With the server's address as its base.
    security : distributed.security.Security or None
        Credentials of its local cluster.
    """

    def __init__(self, session: aiohttp.ClientSession, security: Security | None) -> None:
        self._session = session
        self._security = security

    @classmethod
    @asynccontextmanager
    async def start(cls, cluster: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Self]:
        """Run the server, with its two workers, until the body ends.

        Parameters
        ----------
        cluster : str
            ``"local"`` or ``"gateway"``.
        environment : mapping of str to str, optional
            Further variables for the process.

        Raises
        ------
        ClusterError
            It did not start; it has said why on standard error.
        """
        # That a connection is closed is no news to those who read figures.
        logging.getLogger("distributed").setLevel(logging.ERROR)
        # Dask leaves a folder of its own where it is not told of one.
        with TemporaryDirectory(prefix="greenup-bench-") as home:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.benchmarks.server", cluster, str(WORKERS)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "DASK_TEMPORARY_DIRECTORY": home, **(environment or {})},
                # Out of reach of a Ctrl-C on this terminal: it stops its workers in order once it is let go of.
                start_new_session=True,
            )
            try:
                address, security = await _announced(process)
                async with _session(address) as session:
                    yield cls(session, security)
            finally:
                await _let_go(process)

    async def hold(self, synthetic: Synthetic, *, kept: bool = False) -> Holder:
        """Have the workers make a result in place of the one before; one that is kept is shown from its store alone."""
        rows, columns = synthetic.shape
        words: dict[str, int | str] = {
            "rows": rows,
            "columns": columns,
            "chunk_px": synthetic.chunk_px,
            "kept": str(kept),
        }
        async with self._session.post("/bench/hold", params=words) as answer:
            answer.raise_for_status()
            return Holder(**await answer.json(), security=self._security)

    async def cost(self) -> Cost:
        """Ask what the process has cost so far."""
        async with self._session.get("/bench/cost") as answer:
            return Cost(**await answer.json())

    async def fetch(self, path: str) -> None:
        """Fetch a tile to its last byte.

        Raises
        ------
        ClusterError
            It was answered otherwise than by a tile: no figure would mean anything.
        """
        async with self._session.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
            await answer.read()
            if answer.status != 200:
                raise ClusterError(f"The server answered a tile of the benchmark with {answer.status}.")


async def _announced(process: asyncio.subprocess.Process) -> tuple[str, Security | None]:
    """Return the address of the server, and the credentials of its cluster, which it says to nobody else."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise ClusterError("The server of the benchmark did not start; see above.")
    told = json.loads(line)
    return f"http://127.0.0.1:{told['port']}", told["credentials"] and credentials(*told["credentials"])


def _session(address: str) -> aiohttp.ClientSession:
    # Packed bodies stay packed, as a browser unpacks them elsewhere than here.
    return aiohttp.ClientSession(address, timeout=_PATIENCE, auto_decompress=False)


async def _let_go(process: asyncio.subprocess.Process) -> None:
    """Have the server stop its workers and end, by the end of its standard input."""
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(_STOP_S):
        await process.wait()
