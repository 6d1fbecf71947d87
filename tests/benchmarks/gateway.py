"""Real Dask Gateway on this machine, whose schedulers and workers are reached only through its TLS proxy."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from compute.errors import ClusterError

NOT_INSTALLED = "dask-gateway-server is not installed"

_START_S, _STOP_S, _POLL_S = 60.0, 30.0, 0.1

# Gateway's default commands, dask-scheduler and dask-worker, no longer exist in current Dask releases.
_CONFIG = """
import sys
from dask_gateway_server.backends.local import UnsafeLocalBackend

c.DaskGateway.address = "127.0.0.1:{api_port}"
c.DaskGateway.backend_class = UnsafeLocalBackend
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.SimpleAuthenticator.password = "{password}"
c.Proxy.address = "127.0.0.1:{port}"
c.UnsafeLocalBackend.clusters_directory = "{folder}"
c.UnsafeLocalBackend.sigint_timeout = 2
c.ClusterConfig.scheduler_cmd = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [sys.executable, "-m", "distributed.cli.dask_worker"]
c.ClusterConfig.worker_cores = 1
c.ClusterConfig.worker_memory = "4 G"
c.ClusterConfig.idle_timeout = 120
c.ClusterConfig.environment = {{"OMP_NUM_THREADS": "1", "DASK_TEMPORARY_DIRECTORY": "{folder}"}}
"""


def is_installed() -> bool:
    """Return whether dask-gateway-server is installed."""
    return importlib.util.find_spec("dask_gateway_server") is not None


@asynccontextmanager
async def run_gateway() -> AsyncIterator[Mapping[str, str]]:
    """Run a Gateway until the body ends.

    Yields
    ------
    mapping of str to str
        Environment variables of a process that uses the Gateway.

    Raises
    ------
    ClusterError
        The Gateway did not start.
    """
    with TemporaryDirectory(prefix="greenup-gateway-") as name:
        (api_port, port), password, folder = _find_free_ports(2), secrets.token_hex(16), Path(name)
        config, log = folder / "config.py", folder / "server.log"
        config.write_text(_CONFIG.format(api_port=api_port, port=port, password=password, folder=folder))
        with log.open("wb") as written:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.benchmarks.gateway_server", "--config", str(config)),
                stdin=asyncio.subprocess.PIPE,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
        try:
            address = f"http://127.0.0.1:{port}"
            await _wait_for_answer(address, process)
            yield {
                "GREENUP_GATEWAY_ADDRESS": address,
                "DASK_GATEWAY__AUTH__TYPE": "basic",
                "DASK_GATEWAY__AUTH__KWARGS__USERNAME": "bench",
                "DASK_GATEWAY__AUTH__KWARGS__PASSWORD": password,
                # A proxy in the environment does not lead to 127.0.0.1.
                "DASK_GATEWAY__HTTP_CLIENT__PROXY": "False",
            }
        finally:
            await _stop_process(process)


def _find_free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


async def _wait_for_answer(address: str, process: asyncio.subprocess.Process) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_S), aiohttp.ClientSession(address) as session:
            while process.returncode is None:
                with suppress(aiohttp.ClientError):
                    async with session.get("/api/version") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(_POLL_S)
    raise ClusterError("The Gateway of the benchmark did not start; run greenup doctor to find the reason.")


async def _stop_process(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    # The proxy of the Gateway belongs to the same process group.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
