"""The server that is measured: ``python -m tests.benchmarks.server CLUSTER WORKERS``.

It is what `greenup serve` is beside the page: `dashboard.services.Services` with their cluster, which is opened as
for a visitor's job, and `dashboard.server.routes` on a Tornado server. In place of jobs that read scenes it has one
synthetic result, persisted on the workers or kept in a store, and shown by `compute.tiles.ResultTiles` as a job's is.
Every token names that result, so that a walk under a new token meets no cache of tiles that knows it, while where
blocks lie is known.

Once the workers are there it prints its port and the credentials of its local cluster, as one line of JSON to the
process that started it alone: whoever has them runs code on its workers. It ends when its standard input does, so
never later than the process that started it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import struct
import sys
from contextlib import suppress
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
from compute.jobs import JobRegistry, LiveJob, Principal
from compute.jobs.kept_results import KeptResults
from compute.result.stack import SeasonStack
from compute.result.store import Checkpoint, Slot, slots_of
from compute.settings import Settings
from compute.tiles import ResultTiles, WorkerPixels
from dashboard.server import list_all_routes
from dashboard.server.login import AccessControl
from dashboard.server.request_gate import Gate, GatePolicy
from dashboard.services import Services
from tests.benchmarks.results import Synthetic

_BYTES_RECEIVED = 128
"""Where Linux's ``struct tcp_info`` has ``tcpi_bytes_received``, a 64-bit number."""


class OneResult(JobRegistry):
    """A registry in which every token names the same finished result.

    Parameters
    ----------
    services : Services
        Whose cluster holds it.
    kept : KeptResults
        Where it is kept if it is to be.
    """

    def __init__(self, services: Services, kept: KeptResults) -> None:
        super().__init__(services.clusters, secrets.token_bytes(32))
        self._services = services
        self._kept = kept
        self._shown: dict[str, LiveJob] = {}
        self._result: tuple[Synthetic, ResultTiles] | None = None

    async def open(self, token: str, principal: Principal) -> LiveJob:
        """Return the result under a name."""
        if self._result is None:
            raise InputError("token", "There is no result yet; ask for one.")
        if token not in self._shown:
            synthetic, tiles = self._result
            self._shown[token] = LiveJob(
                token=token,
                scope=principal.scope,
                plan=synthetic.plan(),
                cluster=self._services.cluster,
                state="done",
                stack=tiles.stack,
                tiles=tiles,
            )
        return self._shown[token]

    async def hold(self, synthetic: Synthetic, *, kept: bool = False) -> dict[str, Any]:
        """Have the workers make a result in place of the one before; return how another client finds it.

        One that is kept is shown from its checkpoint alone.
        """
        self._shown, self._result = {}, None
        connection = await self._services.clusters.get(self._services.cluster)
        stack = connection.client.persist(synthetic.stack(f"bench-{secrets.token_hex(8)}"))
        async for future in as_completed(stack.graph.values(), loop=connection.client.loop):
            await future.result()
        tiles = ResultTiles(stack, WorkerPixels(stack, connection.client))
        self._result = synthetic, await self._written(synthetic, stack, connection.client) if kept else tiles
        return {
            "name": stack.token,
            "scheduler": connection.client.scheduler.address,
            "workers": connection.workers,
            "threads": connection.threads,
            "memory_bytes": connection.memory_bytes,
        }

    async def _written(self, synthetic: Synthetic, stack: SeasonStack, client: Any) -> ResultTiles:
        url, plan = self._kept.url(stack.token), synthetic.plan()
        checkpoint = await asyncio.to_thread(Checkpoint.resume, url, plan, stack.token, "bench")
        slots = slots_of(stack, checkpoint.store)
        await client.gather([client.submit(_write, slots[key], block) for key, block in stack.graph.items()])
        tiles = await self._kept.open(url, plan)
        assert tiles is not None
        return tiles


def _write(slot: Slot, block: Block) -> None:
    slot.write(block)


class HoldHandler(RequestHandler):
    """``/bench/hold``: have a result made."""

    def initialize(self, jobs: OneResult) -> None:
        """Receive the registry."""
        self._jobs = jobs

    async def post(self) -> None:
        """Answer once all blocks are there."""
        rows, columns, chunk_px = (int(self.get_query_argument(name)) for name in ("rows", "columns", "chunk_px"))
        kept = self.get_query_argument("kept") == "True"
        self.finish(await self._jobs.hold(Synthetic(shape=(rows, columns), chunk_px=chunk_px), kept=kept))


class CostHandler(RequestHandler):
    """``/bench/cost``: what this process has cost so far."""

    def initialize(self, monitor: SystemMonitor) -> None:
        """Receive what looks at this process."""
        self._monitor = monitor

    def get(self) -> None:
        """Answer resident memory and bytes received, both in bytes."""
        self.finish({"rss": self._monitor.get_process_memory(), "received": bytes_received()})


def bytes_received() -> int | None:
    """Return the bytes that the open TCP sockets of this process have received; None where Linux does not tell."""
    own = Path("/proc/self/fd")
    return sum(_received(entry) for entry in own.iterdir()) if own.is_dir() else None


def _received(entry: Path) -> int:
    """Return the bytes that a TCP socket has received; none where the descriptor is of anything else."""
    with suppress(OSError):
        # Python would leave the copy of a descriptor open that is of no socket.
        if str(entry.readlink()).startswith("socket:"):
            with socket.fromfd(int(entry.name), socket.AF_INET, socket.SOCK_STREAM) as one:
                told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            (count,) = struct.unpack_from("=Q", told, _BYTES_RECEIVED)
            return int(count)
    return 0


async def serve(cluster: ClusterSpec) -> None:
    """Serve until standard input ends.

    Parameters
    ----------
    cluster : ClusterSpec
        Where the result is held; opened here.
    """
    services = Services(Settings(), {}, cluster)
    with TemporaryDirectory(prefix="greenup-bench-") as folder:
        kept = KeptResults(folder)
        services.jobs = jobs = OneResult(services, kept)
        await _serve(cluster, services, jobs)
        await kept.close()


async def _serve(cluster: ClusterSpec, services: Services, jobs: OneResult) -> None:
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
    asyncio.run(serve(parse_cluster(sys.argv[1], workers=int(sys.argv[2]))))
