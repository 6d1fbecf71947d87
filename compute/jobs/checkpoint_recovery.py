"""Checkpoint folders: their size, their removal, and recovery of a lost list of jobs from them."""

from __future__ import annotations

import logging
from contextlib import suppress

from fsspec.core import url_to_fs

from compute.cluster import ClusterSpec
from compute.errors import JobError
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.rows import JobDetails, JobRow, about_plan
from compute.plan import plan_document
from compute.result.store import Checkpoint
from compute.result.store.object_files import names_in
from compute.scenes import unique_unread

_log = logging.getLogger(__name__)


def size_of(url: str) -> int:
    """Return the bytes of what lies at a URL, 0 where nothing does."""
    try:
        files, path = url_to_fs(url)
        files.invalidate_cache(path)
        return int(files.du(path))
    except OSError:
        return 0


def remove(url: str) -> None:
    """Remove a checkpoint; what cannot be removed is said in the log."""
    try:
        Checkpoint.clear(url)
        files, path = url_to_fs(url)
        # Empty by now, unless somebody has put something of their own there. Object stores have no folders.
        with suppress(OSError, NotImplementedError):
            files.rmdir(path)
    except OSError as error:
        _log.warning("A checkpoint could not be removed (%s) and still takes room.", type(error).__name__)


def rebuild(store: JobStore, root: str) -> tuple[list[str], list[str]]:
    """Add the jobs to a list whose checkpoints it does not know; what is not whole is taken up by the next server.

    No checkpoint knows titles, clusters, and who takes part in a job: whoever withdraws from it next is the last.

    Parameters
    ----------
    store : JobStore
        The list.
    root : str
        Folder or fsspec URL of all checkpoints.

    Returns
    -------
    (list of str, list of str)
        Tokens of the jobs that were added, and names of folders whose manifest cannot be read any more.

    Raises
    ------
    JobStoreError
        The list cannot be read or written.
    OSError
        The folder cannot be reached.
    """
    added, damaged = [], []
    for name in sorted(names_in(root)):
        try:
            found = Checkpoint.find(f"{root.rstrip('/')}/{name}")
        except JobError:
            damaged.append(name)
            continue
        if found is not None and store.row(found.manifest.token) is None and store.put(*_job_of(found)):
            added.append(found.manifest.token)
    return added, damaged


def _job_of(found: Checkpoint) -> tuple[JobRow, JobDetails]:
    manifest, written = found.manifest, found.written()
    whole = len(written) == len(manifest.plan.blocks)
    row = JobRow(
        token=manifest.token,
        scope=manifest.scope,
        owner=manifest.scope,
        about=about_plan(manifest.plan),
        engine=manifest.engine,
        # The one thing that no checkpoint knows; it is taken up on the server's own.
        cluster=ClusterSpec(kind="local"),
        checkpoint=found.url,
        state="done" if whole else "queued",
        done=len(written),
        total=len(manifest.plan.blocks),
        created=manifest.created,
        ended=manifest.created if whole else None,
        size=max(1, size_of(found.url)) if whole else 0,
    )
    failed = unique_unread(each for tally in written.values() for each in tally.failed)
    recipe, document = manifest.plan.request.to_json(), plan_document(manifest.plan)
    return row, JobDetails(recipe=recipe, plan=document, failed_scenes=tuple(failed) if whole else ())
