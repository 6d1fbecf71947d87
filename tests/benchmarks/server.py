"""Server for the tile benchmarks: ``python -m tests.benchmarks.server CLUSTER WORKERS``.

It consists of `dashboard.services.Services` with their cluster and `dashboard.server.routes` on a Tornado server, like
`greenup serve` without the page. Instead of jobs that read scenes it has one synthetic result, persisted on the workers
or stored, which `compute.tiles.ResultTiles` shows like that of a job. Every token names this result, so a walk under a
new token finds no cached tile, while the positions of the blocks are known.

When the workers are ready, it prints its port and the credentials of its local cluster as one line of JSON to its
parent only, since the credentials allow running code on the workers. It stops when its standard input closes, so never
later than its parent.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import struct
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distributed import as_completed
from distributed.system_monitor import SystemMonitor
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from compute.cluster import ClusterSpec, parse_cluster
from compute.engine import Block
from compute.errors import InputError
from compute.jobs import JobRegistry, JobRow, LiveJob, Principal
from compute.jobs.kept_results import KeptResults
from compute.result.stack import SeasonStack
from compute.result.store import Checkpoint, Slot, slots_of
from compute.settings import Settings
from compute.tiles.tile_service import ResultTiles
from compute.tiles.worker_pixels import WorkerPixels
from dashboard.server import list_all_routes
from dashboard.server.login import AccessControl
from dashboard.server.request_gate import Gate, GatePolicy
from dashboard.services import Services
from tests.benchmarks.results import SyntheticResult

_BYTES_RECEIVED = 128
"""Offset of the 64-bit ``tcpi_bytes_received`` in Linux's ``struct tcp_info``."""


class OneResult(JobRegistry):
    """Registry in which every token names the same finished result.

    Parameters
    ----------
    services : Services
        Services with the cluster that holds the result.
    kept : KeptResults
        Store for a result that is to be stored.
    """

    def __init__(self, services: Services, kept: KeptResults) -> None:
        super().__init__(services.clusters, secrets.token_bytes(32))
        self._services = services
        self._kept = kept
        self._shown: dict[str, LiveJob] = {}
        self._result: tuple[SyntheticResult, ResultTiles] | None = None

    async def open(self, token: str, principal: Principal) -> LiveJob:
        """Return the result under a token."""
        if self._result is None:
            raise InputError("token", "There is no result yet; request /bench/hold first.")
        if token not in self._shown:
            synthetic, tiles = self._result
            row = JobRow(
                token=token,
                scope=principal.scope,
                owner=principal.name,
                about={},
                engine="",
                cluster=self._services.cluster,
                state="done",
                total=0,
                created=datetime.now(UTC),
            )
            self._shown[token] = LiveJob(row=row, plan=synthetic.make_plan(), stack=tiles.stack, tiles=tiles)
        return self._shown[token]

    async def hold_result(self, synthetic: SyntheticResult, *, kept: bool = False) -> dict[str, Any]:
        """Create a result on the workers, replacing the previous one, and return its position for other clients.

        Parameters
        ----------
        synthetic : SyntheticResult
            Specification of the result.
        kept : bool
            Whether to store the result and show it from its store only.
        """
        self._shown, self._result = {}, None
        connection = await self._services.clusters.get(self._services.cluster)
        stack = connection.client.persist(synthetic.make_stack(f"bench-{secrets.token_hex(8)}"))
        async for future in as_completed(stack.graph.values(), loop=connection.client.loop):
            await future.result()
        tiles = ResultTiles(stack, WorkerPixels(stack, connection.client))
        self._result = synthetic, await self._write_checkpoint(synthetic, stack, connection.client) if kept else tiles
        return {
            "name": stack.token,
            "scheduler": connection.client.scheduler.address,
            "workers": connection.workers,
            "threads": connection.threads,
            "memory_bytes": connection.memory_bytes,
        }

    async def _write_checkpoint(self, synthetic: SyntheticResult, stack: SeasonStack, client: Any) -> ResultTiles:
        url, plan = self._kept.url(stack.token), synthetic.make_plan()
        checkpoint = await asyncio.to_thread(Checkpoint.resume, url, plan, stack.token, "bench")
        slots = slots_of(stack, checkpoint.store)
        await client.gather([client.submit(_write, slots[key], block) for key, block in stack.graph.items()])
        tiles = await self._kept.open(url, plan)
        assert tiles is not None
        return tiles


def _write(slot: Slot, block: Block) -> None:
    slot.write(block)


class HoldHandler(RequestHandler):
    """``/bench/hold``: create a result."""

    def initialize(self, jobs: OneResult) -> None:
        """Store the registry."""
        self._jobs = jobs

    async def post(self) -> None:
        """Write the position of the result when all blocks are ready."""
        rows, columns, chunk_px = (int(self.get_query_argument(name)) for name in ("rows", "columns", "chunk_px"))
        kept = self.get_query_argument("kept") == "True"
        self.finish(await self._jobs.hold_result(SyntheticResult(shape=(rows, columns), chunk_px=chunk_px), kept=kept))


class CostHandler(RequestHandler):
    """``/bench/cost``: resources of this process."""

    def initialize(self, monitor: SystemMonitor) -> None:
        """Store the monitor of this process."""
        self._monitor = monitor

    def get(self) -> None:
        """Write resident memory and received bytes."""
        self.finish({"rss": self._monitor.get_process_memory(), "received": read_received_bytes()})


def read_received_bytes() -> int | None:
    """Return the bytes that the open TCP sockets of this process have received, or None on systems other than Linux."""
    own = Path("/proc/self/fd")
    return sum(_read_received_bytes(entry) for entry in own.iterdir()) if own.is_dir() else None


def _read_received_bytes(entry: Path) -> int:
    """Return the bytes that a TCP socket has received, 0 for any other descriptor."""
    with suppress(OSError):
        # socket.fromfd would not close its copy of a descriptor that is not a socket.
        if str(entry.readlink()).startswith("socket:"):
            with socket.fromfd(int(entry.name), socket.AF_INET, socket.SOCK_STREAM) as one:
                told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            (count,) = struct.unpack_from("=Q", told, _BYTES_RECEIVED)
            return int(count)
    return 0


async def serve_result(cluster: ClusterSpec) -> None:
    """Serve until standard input closes.

    Parameters
    ----------
    cluster : ClusterSpec
        Cluster that holds the result; it is opened here.
    """
    services = Services(Settings(), {}, cluster)
    with TemporaryDirectory(prefix="greenup-bench-") as folder:
        kept = KeptResults(folder)
        services.jobs = jobs = OneResult(services, kept)
        await _serve_until_stopped(cluster, services, jobs)
        await kept.close()


async def _serve_until_stopped(cluster: ClusterSpec, services: Services, jobs: OneResult) -> None:
    try:
        connection = await services.clusters.get(cluster)
        own: list[tuple[str, type[RequestHandler], dict[str, Any]]] = [
            (r"/bench/hold", HoldHandler, {"jobs": jobs}),
            (r"/bench/cost", CostHandler, {"monitor": SystemMonitor()}),
        ]
        server = HTTPServer(Gate(Application([*list_all_routes(services), *own]), GatePolicy(), AccessControl(None)))
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        security = connection.client.security if cluster.kind == "local" else None
        told = {
            "port": sockets[0].getsockname()[1],
            "credentials": security and [security.tls_client_cert, security.tls_client_key],
        }
        print(json.dumps(told), flush=True)  # to the process that started this one
        await asyncio.to_thread(sys.stdin.read)
        server.stop()
    finally:
        await services.close()


if __name__ == "__main__":
    asyncio.run(serve_result(parse_cluster(sys.argv[1], workers=int(sys.argv[2]))))
