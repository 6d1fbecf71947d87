"""Build the document of a page in a thread, so that the event loop serves other requests meanwhile."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bokeh.io.doc
import panel.io.handlers
from bokeh.core.types import ID
from bokeh.document import Document
from bokeh.server.contexts import ApplicationContext, BokehSessionContext, _RequestProxy
from bokeh.server.session import ServerSession
from bokeh.util.token import get_token_payload
from panel.io.state import state
from tornado.httputil import HTTPServerRequest


async def create_session(
    context: ApplicationContext, session_id: ID, request: HTTPServerRequest, token: str
) -> ServerSession:
    """Create a session whose document is built in a thread.

    Bokeh 3.9's ``ApplicationContext.create_session_if_needed`` builds it on the event loop, which a page of a hundred
    components blocks for a second. This can be removed once Bokeh initialises documents in a thread.

    Parameters
    ----------
    context : bokeh.server.contexts.ApplicationContext
        Context of the application; the session is added to it.
    session_id : bokeh.core.types.ID
        Identifier of the new session.
    request : tornado.httputil.HTTPServerRequest
        Request for the page.
    token : str
        Token of the session, with arguments, cookies and headers in its payload.

    Returns
    -------
    bokeh.server.session.ServerSession
        The new session.
    """
    document = Document()
    session_context = BokehSessionContext(session_id, context.server_context, document, logout_url=context._logout_url)
    payload: dict[str, Any] = get_token_payload(token)
    session_context._request = _RequestProxy(
        request, **{name: payload.get(name) for name in ("arguments", "cookies", "headers")}
    )
    session_context._token = token
    document._session_context = weakref.ref(session_context)
    await context.application.on_session_created(session_context)
    # `asyncio.to_thread` copies the context variables, so Panel's current document is the same in both threads.
    await asyncio.to_thread(context.application.initialize_document, document)
    # Panel sends changes immediately only from the registered thread of a document: from now on, the event loop's.
    state._thread_id_[document] = threading.get_ident()
    session = ServerSession(session_id, document, io_loop=context._loop, token=token)
    context._sessions[session_id] = session
    session_context._set_session(session)
    context._session_contexts[session_id] = session_context
    return session


class _CurrentDocuments(threading.local):
    """Weak references to the current documents of the nested callbacks of a thread, the innermost last."""

    def __init__(self) -> None:
        self._references: list[Any] = []

    def __len__(self) -> int:
        return len(self._references)

    def __getitem__(self, place: int) -> Any:
        return self._references[place]

    @contextmanager
    def patched(self, document: Any) -> Iterator[None]:
        """Make a document the current one of this thread until the body returns or raises."""
        self._references.append(weakref.ref(document))
        del document
        try:
            yield
        finally:
            self._references.pop()


def isolate_current_document() -> None:
    """Limit Bokeh's current document to the callback and the thread that it is set for.

    Bokeh 3.9's ``patch_curdoc`` keeps a document in its list if a callback raises. Code without a document of its own
    then uses it as the current one, and once it is destroyed, Panel 1.9's ``run_app`` makes the next visitor's
    document the current one of the whole process. The list is also shared by all threads. This can be removed once
    ``patch_curdoc`` uses ``finally`` and a context variable.
    """
    if isinstance(bokeh.io.doc._PATCHED_CURDOCS, _CurrentDocuments):
        return
    current: Any = _CurrentDocuments()
    bokeh.io.doc._PATCHED_CURDOCS = current
    modules: Any = (bokeh.io.doc, panel.io.handlers)
    for module in modules:
        module.patch_curdoc = current.patched
