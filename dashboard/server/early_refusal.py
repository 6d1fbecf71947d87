"""Early refusal: write a response and close the connection before the request body is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus

from tornado.iostream import IOStream, StreamClosedError


def answer_and_close(
    stream: IOStream, status: HTTPStatus, sentence: str, more: Mapping[str, str] | None = None
) -> None:
    """Write a JSON error and close the connection, without reading the rest of the request.

    Parameters
    ----------
    stream : tornado.iostream.IOStream
        Stream of the connection.
    status : http.HTTPStatus
        Status of the response; 503 also sets ``Retry-After``.
    sentence : str
        Error message in the body.
    more : mapping of str to str, optional
        Further headers.
    """
    body = json.dumps({"error": sentence}).encode()
    headers = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    headers |= {"Content-Length": str(len(body)), "Connection": "close"} | dict(more or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", "5")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{lines}\r\n"
    try:
        writing = asyncio.ensure_future(stream.write(head.encode() + body))
    except StreamClosedError:
        stream.close()
        return

    def close(done: asyncio.Future[None]) -> None:
        if not done.cancelled():
            done.exception()  # retrieved, so that asyncio does not log it: the client may have disconnected
        stream.close()

    writing.add_done_callback(close)
