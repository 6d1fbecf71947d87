"""Shared storage: check that this process reads the folder to which every worker writes."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from compute.errors import NotSharedError
from compute.result.store.object_files import read_objects, remove, write_object
from compute.result.store.stored_blocks import reason_of


async def check_shared(url: str, client: Any) -> None:
    """Check that this process reads the folder to which every worker writes.

    Each worker and this process write a small object, and this process counts the objects.

    Parameters
    ----------
    url : str
        Local folder or fsspec URL, as it is passed to the workers.
    client : distributed.Client
        Asynchronous client.

    Raises
    ------
    NotSharedError
        A worker cannot write to the folder, or writes to other storage under the same name.
    OSError
        This process cannot write or read the folder. Object stores may raise errors of other types.
    """
    probe = f"{url}/.greenup-{secrets.token_hex(8)}"
    try:
        await asyncio.to_thread(_write_mark, probe)
        answers = await client.run(_write_mark, probe, on_error="return")
        marks = await asyncio.to_thread(read_objects, probe)
    finally:
        await asyncio.to_thread(remove, probe)
    for answer in answers.values():
        if isinstance(answer, BaseException):
            raise NotSharedError(
                f"The result could not be written ({reason_of(answer)}); check the free space of the folder."
            ) from answer
    if len(marks) <= len(answers):
        raise NotSharedError(
            "The workers write elsewhere than this server reads; have GREENUP_RESULTS name a shared store."
        )


def _write_mark(probe: str) -> None:
    write_object(f"{probe}/{secrets.token_hex(8)}", b"")
