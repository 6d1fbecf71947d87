"""Durable list of Gateway clusters that servers have started and not stopped."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, delete, insert, select, update

from compute.cluster import ClusterSpec
from compute.jobs.jobstore.database import Database, now_of
from compute.jobs.jobstore.tables import CLUSTERS, JOBS, LEASE_S, cluster_from_text, cluster_text, unheld


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterRow:
    """One cluster as the store keeps it.

    Attributes
    ----------
    name : str
        Short name.
    cluster : ClusterSpec
        What was asked for, and by whom.
    holder : str
        The server that uses and stops it.
    """

    name: str
    cluster: ClusterSpec
    holder: str


class ClusterStore:
    """The list of clusters, in the database of the jobs. Its methods wait, and raise, as those of a `JobStore` do.

    Parameters
    ----------
    database : Database
        Of the jobs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self) -> list[ClusterRow]:
        """Return all clusters."""
        with self._database.asking("read") as connection:
            lines = connection.execute(select(CLUSTERS.c.name, CLUSTERS.c.cluster, CLUSTERS.c.holder))
            return [ClusterRow(name=n, cluster=cluster_from_text(text), holder=holder) for n, text, holder in lines]

    def put(self, row: ClusterRow) -> None:
        """Add a cluster, which is its holder's for as long as the jobs that this one works on are."""
        with self._database.asking("written") as connection:
            if connection.scalar(select(CLUSTERS.c.name).where(CLUSTERS.c.name == row.name)):
                return
            lease_end = now_of(connection) + LEASE_S
            line = {"name": row.name, "cluster": cluster_text(row.cluster), "holder": row.holder}
            connection.execute(insert(CLUSTERS).values(line | {"lease_end": lease_end}))
            # Whoever takes the jobs over must be able to take the cluster over on which they run.
            held = and_(JOBS.c.holder == row.holder, JOBS.c.lease_end.is_not(None))
            connection.execute(update(JOBS).where(held).values(lease_end=lease_end))

    def take_unheld(self, holder: str) -> None:
        """Take over the clusters whose server gives no sign of life any more."""
        with self._database.asking("written") as connection:
            now = now_of(connection)
            taking = update(CLUSTERS).where(unheld(CLUSTERS, now))
            connection.execute(taking.values(holder=holder, lease_end=now + LEASE_S))

    def delete(self, name: str) -> None:
        """Forget a cluster that is no more."""
        with self._database.asking("written") as connection:
            connection.execute(delete(CLUSTERS).where(CLUSTERS.c.name == name))
