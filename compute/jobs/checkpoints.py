"""Where results lie outside of the memory of their cluster: what the life of a job needs of it."""

from __future__ import annotations

import logging
from typing import Protocol

from fsspec.core import url_to_fs

from compute.plan import NdviPlan
from compute.tiles import ResultTiles

_log = logging.getLogger(__name__)


class Checkpoints(Protocol):
    """Results outside of memory."""

    def url(self, token: str) -> str:
        """Return where that of a job lies, there already or not; empty where none is kept."""

    async def open(self, url: str, plan: NdviPlan) -> ResultTiles | None:
        """Return the tiles of a result that lies there whole, or None where it does not."""


class NoCheckpoints:
    """Results in the memory of their cluster alone."""

    def url(self, token: str) -> str:  # noqa: ARG002  # none has one
        """Return that there is none."""
        return ""

    async def open(self, url: str, plan: NdviPlan) -> ResultTiles | None:  # noqa: ARG002  # as above
        """Return that there is none."""
        return None


def size_of(url: str) -> int:
    """Return the bytes of what lies at a URL, 0 where nothing does."""
    try:
        files, path = url_to_fs(url)
        return int(files.du(path))
    except OSError:
        return 0


def remove(url: str) -> None:
    """Remove what lies at a URL; what cannot be removed is said in the log."""
    try:
        files, path = url_to_fs(url)
        if files.exists(path):
            files.rm(path, recursive=True)
    except OSError as error:
        _log.warning("A checkpoint could not be removed (%s) and still takes room.", type(error).__name__)
