"""Build the document of a page in a thread, so that the event loop answers others meanwhile."""

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

    Bokeh 3.9's ``ApplicationContext.create_session_if_needed`` does the same on the event loop, which a page of a
    hundred components holds up for a second. This can go once Bokeh initialises documents beside it.

    Parameters
    ----------
    context : bokeh.server.contexts.ApplicationContext
        Of the application; it holds the session from then on.
    session_id : bokeh.core.types.ID
        Of a session that there is not yet.
    request : tornado.httputil.HTTPServerRequest
        For the page.
    token : str
        Of the session, with arguments, cookies and headers in its payload.
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
    # A thread has the context variables of who starts it: Panel's current document is the page's own in both.
    await asyncio.to_thread(context.application.initialize_document, document)
    # Panel writes at once only from the thread that a document belongs to, which is the event loop's from now on.
    state._thread_id_[document] = threading.get_ident()
    session = ServerSession(session_id, document, io_loop=context._loop, token=token)
    context._sessions[session_id] = session
    session_context._set_session(session)
    context._session_contexts[session_id] = session_context
    return session


class _CurrentDocuments(threading.local):
    """Weak references to the documents that callbacks of a thread run for, the innermost last."""

    def __init__(self) -> None:
        self._references: list[Any] = []

    def __len__(self) -> int:
        return len(self._references)

    def __getitem__(self, place: int) -> Any:
        return self._references[place]

    @contextmanager
    def patched(self, document: Any) -> Iterator[None]:
        """Have a document be the current one of this thread until the body ends, however it does."""
        self._references.append(weakref.ref(document))
        del document
        try:
            yield
        finally:
            self._references.pop()


def isolate_current_document() -> None:
    """Have Bokeh's current document end with the callback that it is for, and be each thread's own.

    Bokeh 3.9's ``patch_curdoc`` leaves a document behind when a callback raises. Code without a document of its own
    then takes it for the current one, and once it is destroyed, Panel 1.9's ``run_app`` makes the next visitor's
    document the current one of the whole process. And the list behind it is one for all threads. This can go once
    ``patch_curdoc`` has a ``finally`` and a context variable.
    """
    if isinstance(bokeh.io.doc._PATCHED_CURDOCS, _CurrentDocuments):
        return
    current: Any = _CurrentDocuments()
    bokeh.io.doc._PATCHED_CURDOCS = current
    modules: Any = (bokeh.io.doc, panel.io.handlers)
    for module in modules:
        module.patch_curdoc = current.patched
