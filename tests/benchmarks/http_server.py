"""HTTP server of byte ranges with a latency: ``python -m tests.benchmarks.http_server FOLDER MILLISECONDS``.

It prints its port, and ends when its standard input does, so never later than the process that started it. Addresses
are ``/RUN/PATH``: whatever RUN is, the file is the same, but no client has it in its cache from another run. What was
served of a run is told at ``/ranges/RUN``, at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from pathlib import Path

from aiohttp import web


class RangeServer:
    """The files below a folder.

    Parameters
    ----------
    root : pathlib.Path
        The folder.
    delay_s : float
        Time before every response, in seconds.
    """

    def __init__(self, root: Path, delay_s: float) -> None:
        self._root = root.resolve()
        self._delay_s = delay_s
        self._served: dict[str, list[tuple[str, int, int]]] = defaultdict(list)

    async def ranges(self, request: web.Request) -> web.Response:
        """Tell path, first byte and byte after the last of all that was served of a run."""
        return web.json_response(self._served[request.match_info["run"]])

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Serve a range of a file, or its size alone."""
        await asyncio.sleep(self._delay_s)
        run, name = request.match_info["run"], request.match_info["path"]
        path = (self._root / name).resolve()
        if not (path.is_relative_to(self._root) and path.is_file()):
            raise web.HTTPNotFound
        size = path.stat().st_size
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": str(size), "Accept-Ranges": "bytes"})
        first, last = self._asked(request, size)
        self._served[run].append((name, first, last))
        # From the file to the socket without a detour: a distant store takes no time of the workers' processors.
        return web.FileResponse(path)

    @staticmethod
    def _asked(request: web.Request, size: int) -> tuple[int, int]:
        try:
            asked = request.http_range
        except ValueError:
            raise web.HTTPRequestRangeNotSatisfiable from None
        first, last, _ = slice(asked.start, asked.stop).indices(size)
        if first >= last:
            raise web.HTTPRequestRangeNotSatisfiable
        return first, last


async def serve(root: Path, delay_s: float) -> None:
    """Serve until standard input ends.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the files.
    delay_s : float
        Time before every response, in seconds.
    """
    server = RangeServer(root, delay_s)
    app = web.Application()
    app.router.add_get("/ranges/{run}", server.ranges)
    app.router.add_get("/{run}/{path:.+}", server.file)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)  # to the process that started this one
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2]) / 1000))
