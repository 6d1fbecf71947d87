"""Base class of the API routes, the table from error to HTTP status, and the routes of results and health."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any, TypeVar

from tornado.web import RequestHandler

from compute.errors import (
    CatalogError,
    ClusterError,
    GreenupError,
    InputError,
    JobStoreError,
    NoScenesError,
    OverloadError,
    ResultAwayError,
    ResultGoneError,
    TooLargeError,
    TooManyRequestsError,
)
from compute.jobs import LiveJob, Principal
from compute.tiles.tile_service import result_info
from dashboard.server.metrics import MetricsHandler
from dashboard.server.page import PRIVATE, IconHandler
from dashboard.server.principals import ForbiddenError, get_principal
from dashboard.services import Services

STATUS: tuple[tuple[type[GreenupError], int], ...] = (
    (NoScenesError, 404),
    (TooLargeError, 413),
    (InputError, 400),
    (CatalogError, 503),
    (JobStoreError, 503),
    (ClusterError, 503),
    (ResultGoneError, 410),
    (ResultAwayError, 503),
    (TooManyRequestsError, 429),
    (OverloadError, 503),
    (GreenupError, 500),
)
"""HTTP status of each error. The first class that an error is an instance of applies."""

_RETRY_AFTER_S = "1"


_CLIENT_CLOSED_REQUEST = 499, "Client Closed Request"
"""Status of a request whose client has disconnected, as nginx logs it. It appears in the log only."""

Answer = TypeVar("Answer")


class ApiHandler(RequestHandler):
    """Base class of the API routes: access to services and principal, and errors as JSON."""

    _work: asyncio.Task[Any] | None = None

    def initialize(self, services: Services) -> None:
        """Store the services that all routes share."""
        self.services = services

    def set_default_headers(self) -> None:
        """Set the headers of private data on every response, errors included."""
        for name, value in PRIVATE.items():
            self.set_header(name, value)

    def get_principal(self) -> Principal:
        """Return the principal of this request; see `dashboard.server.principals.get_principal`."""
        return get_principal(self.request)

    async def find_job(self, token: str) -> LiveJob:
        """Return the job of a token.

        Parameters
        ----------
        token : str
            Token of a result, 32 hexadecimal digits.

        Returns
        -------
        LiveJob
            The job.

        Raises
        ------
        NoScenesError
            The principal has no job with this token; the response is 404.
        """
        try:
            return await self.services.jobs.open(token, self.get_principal())
        except InputError as error:
            raise NoScenesError(error.field, str(error)) from None

    @property
    def requester(self) -> tuple[str, str]:
        """Key of the per-user limits: the scope of the principal, and the address of the client."""
        return self.get_principal().scope, self.request.remote_ip or ""

    async def cancel_on_disconnect(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Await a coroutine, and cancel it when the client disconnects."""
        self._work = task = asyncio.ensure_future(work)
        return await task

    def on_connection_close(self) -> None:
        """Cancel the running work after the client has disconnected."""
        if self._work is not None:
            self._work.cancel()

    def write_json(self, document: Any, status: int = 200, kind: str = "application/json") -> None:
        """Finish the response with a JSON document.

        Parameters
        ----------
        document : object
            Anything that `json.dumps` accepts. NaN and infinity are refused.
        status : int
            HTTP status.
        kind : str
            Media type of the response.
        """
        self.set_status(status)
        self.set_header("Content-Type", kind)
        self.finish(json.dumps(document, allow_nan=False))

    def _handle_request_exception(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.set_status(*_CLIENT_CLOSED_REQUEST)
            self.finish()
        elif isinstance(error, ForbiddenError):
            self.write_json({"error": "Log in first."}, 403)
        elif isinstance(error, GreenupError):
            status = next(code for kind, code in STATUS if isinstance(error, kind))
            if status in (429, 503):
                self.set_header("Retry-After", _RETRY_AFTER_S)
            self.write_json({"error": str(error)}, status)
        else:
            super()._handle_request_exception(error)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Write an error message with the status; details are in the log."""
        self.write_json({"error": f"The request could not be answered ({status_code})."}, status_code)


class ResultsHandler(ApiHandler):
    """``/api/results``: results of the principal."""

    def get(self) -> None:
        """Write the token and the state of each result."""
        rows = self.services.jobs.list(self.get_principal())
        self.write_json({"results": [{"token": each.token, "state": each.state} for each in rows]})


class ResultHandler(ApiHandler):
    """``/api/results/{token}``: metadata for drawing and labelling one result."""

    async def get(self, token: str) -> None:
        """Write extent, zooms, layers, seasons, state, progress and expiry date of a result."""
        record = await self.find_job(token)
        row = await self.services.jobs.find(token, self.get_principal())
        document = {
            "token": token,
            "state": record.state,
            "message": record.message,
            "scenes_failed": [asdict(each) for each in record.failed_scenes],
            "done": row.done,
            "total": record.total,
            "title": row.title,
            "kept_until": self.services.kept_until(row),
        }
        self.write_json(document | result_info(record.plan))


class HealthHandler(ApiHandler):
    """``/healthz``: liveness probe."""

    def get(self) -> None:
        """Write 200."""
        self.write_json({"status": "ok"})


class ReadyHandler(ApiHandler):
    """``/readyz``: readiness probe, for the connection to a cluster."""

    def get(self) -> None:
        """Write 200 if a cluster is connected, else 503."""
        ready = any(pooled.connection is not None for pooled in self.services.clusters.clusters())
        self.write_json({"ready": ready}, 200 if ready else 503)


def list_routes(services: Services) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Return the routes of results, health and metrics, relative to the prefix of the page.

    Parameters
    ----------
    services : Services
        Shared by all routes.
    """
    shared = {"services": services}
    return [
        (r"/api/results/?", ResultsHandler, shared),
        (r"/api/results/([0-9a-f]{32})", ResultHandler, shared),
        (r"/favicon\.ico", IconHandler, {}),
        (r"/healthz", HealthHandler, shared),
        (r"/readyz", ReadyHandler, shared),
        (r"/metrics", MetricsHandler, shared),
    ]
