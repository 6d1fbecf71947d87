"""Checkpoint folders: size, removal, and recovery of a lost list of jobs from them."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace

from fsspec.core import url_to_fs

from compute.cluster import ClusterSpec
from compute.errors import JobError
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.rows import JobDetails, JobRow, details_of, new_row
from compute.result.store import Checkpoint
from compute.result.store.object_files import names_in
from compute.scenes import unique_unread

_log = logging.getLogger(__name__)


def checkpoint_size(url: str) -> int:
    """Return the size of the files below a URL in bytes; 0 if they cannot be read."""
    try:
        files, path = url_to_fs(url)
        files.invalidate_cache(path)
        return int(files.du(path))
    except OSError:
        return 0


def remove_checkpoint(url: str) -> None:
    """Remove a checkpoint; an error is logged."""
    try:
        Checkpoint.clear(url)
        files, path = url_to_fs(url)
        # The folder is not empty if it has other files. Object stores have no folders.
        with suppress(OSError, NotImplementedError):
            files.rmdir(path)
    except OSError as error:
        _log.warning("A checkpoint could not be removed (%s) and still takes room.", type(error).__name__)


def rebuild_list(store: JobStore, root: str) -> tuple[list[str], list[str]]:
    """Add the unlisted jobs of all checkpoints to a list; the next server completes the unfinished ones.

    Checkpoints contain no titles, clusters and participants, so the first withdrawal from such a job cancels it.

    Parameters
    ----------
    store : JobStore
        The list of jobs.
    root : str
        Folder or fsspec URL of all checkpoints.

    Returns
    -------
    (list of str, list of str)
        Tokens of the added jobs, and names of folders whose manifest cannot be read.

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
        if found is not None and store.find_job(found.manifest.token) is None and store.add_job(*_job_of(found)):
            added.append(found.manifest.token)
    return added, damaged


def _job_of(found: Checkpoint) -> tuple[JobRow, JobDetails]:
    manifest, written = found.manifest, found.written()
    # Checkpoints contain no cluster, so the job is completed on the server's own cluster.
    cluster = ClusterSpec(kind="local")
    row = new_row(manifest.plan, token=manifest.token, scope=manifest.scope, owner=manifest.scope, cluster=cluster)
    row = replace(row, engine=manifest.engine, checkpoint=found.url, created=manifest.created, done=len(written))
    if len(written) < row.total:
        return row, details_of(manifest.plan)
    failed = tuple(unique_unread(each for tally in written.values() for each in tally.failed))
    size = max(1, checkpoint_size(found.url))
    return replace(row, state="done", ended=manifest.created, size=size), details_of(manifest.plan, failed)
