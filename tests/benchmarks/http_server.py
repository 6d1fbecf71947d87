"""HTTP server of byte ranges with a latency: ``python -m tests.benchmarks.http_server FOLDER MILLISECONDS``.

It prints its port, and stops when its standard input closes, so never later than its parent. URLs are ``/RUN/PATH``:
RUN does not affect the file, but gives every run URLs that no client has cached. ``/ranges/RUN`` lists the ranges that
a run has requested, without the latency.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from pathlib import Path

from aiohttp import web


class RangeServer:
    """Server of the files below a folder.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the files.
    delay_s : float
        Latency of every response, in seconds.
    """

    def __init__(self, root: Path, delay_s: float) -> None:
        self._root = root.resolve()
        self._delay_s = delay_s
        self._served: dict[str, list[tuple[str, int, int]]] = defaultdict(list)

    async def list_ranges(self, request: web.Request) -> web.Response:
        """Write path, first byte and end of every range that a run has requested."""
        return web.json_response(self._served[request.match_info["run"]])

    async def serve_file(self, request: web.Request) -> web.StreamResponse:
        """Write a range of a file, or only its size for HEAD."""
        await asyncio.sleep(self._delay_s)
        run, name = request.match_info["run"], request.match_info["path"]
        path = (self._root / name).resolve()
        if not (path.is_relative_to(self._root) and path.is_file()):
            raise web.HTTPNotFound
        size = path.stat().st_size
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": str(size), "Accept-Ranges": "bytes"})
        first, last = self._parse_range(request, size)
        self._served[run].append((name, first, last))
        # FileResponse uses sendfile, so the server takes little processor time from the workers.
        return web.FileResponse(path)

    @staticmethod
    def _parse_range(request: web.Request, size: int) -> tuple[int, int]:
        try:
            asked = request.http_range
        except ValueError:
            raise web.HTTPRequestRangeNotSatisfiable from None
        first, last, _ = slice(asked.start, asked.stop).indices(size)
        if first >= last:
            raise web.HTTPRequestRangeNotSatisfiable
        return first, last


async def serve_ranges(root: Path, delay_s: float) -> None:
    """Serve until standard input closes.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the files.
    delay_s : float
        Latency of every response, in seconds.
    """
    server = RangeServer(root, delay_s)
    app = web.Application()
    app.router.add_get("/ranges/{run}", server.list_ranges)
    app.router.add_get("/{run}/{path:.+}", server.serve_file)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)  # to the process that started this one
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve_ranges(Path(sys.argv[1]), float(sys.argv[2]) / 1000))
