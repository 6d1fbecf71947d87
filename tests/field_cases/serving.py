"""HTTP server of a case's files, with byte ranges, redirects, tokens and responses of 503."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

HOST = "http://HOST"
"""What stands in a document for the address of the server."""

TOKEN = "sv=2022-11-02&sig=bm90LWEtc2VjcmV0%3D"
"""What the server asks for below /signed."""
BUSY = 2
"""How often a file below /busy answers 503 first."""


class _CaseHandler(BaseHTTPRequestHandler):
    """Handler of /plain/FILE, /moved/FILE, /busy/FILE and, with the token, /signed/FILE."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, answered: Counter[str], *rest: Any) -> None:
        self._folder = folder
        self._answered = answered
        super().__init__(*rest)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        parts = urlsplit(self.path)
        _, manner, name = unquote(parts.path).split("/", 2)
        self._answered[parts.path] += 1
        path = self._folder / name
        if manner == "moved":
            self._refuse(302, Location=f"/plain/{parts.path.split('/', 2)[2]}")
        elif manner == "busy" and self._answered[parts.path] <= BUSY:
            self._refuse(503, **{"Retry-After": "0"})
        elif manner == "signed" and parts.query != TOKEN:
            self._refuse(403)
        elif not path.is_file():
            self._refuse(404)
        else:
            self._send(path.read_bytes(), body=body)

    def _refuse(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, *, body: bool) -> None:
        whole, asked = len(content), re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        self.send_response(206 if asked else 200)
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or whole - 1), whole - 1)
            content = content[first : last + 1]
            self.send_header("Content-Range", f"bytes {first}-{last}/{whole}")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Suppress the log."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine for the time of a ``with`` block; yield its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_CaseHandler, folder, Counter()))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
