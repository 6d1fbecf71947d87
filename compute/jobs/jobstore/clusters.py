"""Durable list of the Gateway clusters that servers have started and not stopped."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, delete, insert, select, update

from compute.cluster import ClusterSpec
from compute.jobs.jobstore.database import Database, database_time
from compute.jobs.jobstore.tables import CLUSTERS, JOBS, LEASE, is_unheld


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterRow:
    """Record of one Gateway cluster.

    Attributes
    ----------
    name : str
        Short name.
    cluster : ClusterSpec
        Specification, with the owner.
    holder : str
        Name of the server that uses the cluster and stops it.
    """

    name: str
    cluster: ClusterSpec
    holder: str


class ClusterStore:
    """Store of Gateway clusters, in the database of the jobs. Its methods block, and raise `JobStoreError`.

    Parameters
    ----------
    database : Database
        Database of the jobs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_clusters(self) -> list[ClusterRow]:
        """Return all clusters."""
        with self._database.transaction("read") as connection:
            lines = connection.execute(select(CLUSTERS.c.name, CLUSTERS.c.cluster, CLUSTERS.c.holder))
            return [ClusterRow(**line._asdict()) for line in lines]

    def add_cluster(self, row: ClusterRow) -> None:
        """Add a cluster unless it is listed, and let its lease and those of its holder's jobs end at the same time."""
        with self._database.transaction("written") as connection:
            if connection.scalar(select(CLUSTERS.c.name).where(CLUSTERS.c.name == row.name)):
                return
            lease_end = database_time(connection) + LEASE
            line = {"name": row.name, "cluster": row.cluster, "holder": row.holder, "lease_end": lease_end}
            connection.execute(insert(CLUSTERS).values(line))
            # A server that takes over the jobs must be able to take over the cluster that they run on.
            held = and_(JOBS.c.holder == row.holder, JOBS.c.lease_end.is_not(None))
            connection.execute(update(JOBS).where(held).values(lease_end=lease_end))

    def take_over_unheld(self, holder: str) -> None:
        """Take over the clusters that no server holds, or whose leases have expired."""
        with self._database.transaction("written") as connection:
            now = database_time(connection)
            taking = update(CLUSTERS).where(is_unheld(CLUSTERS, now))
            connection.execute(taking.values(holder=holder, lease_end=now + LEASE))

    def delete_cluster(self, name: str) -> None:
        """Delete a cluster that has stopped."""
        with self._database.transaction("written") as connection:
            connection.execute(delete(CLUSTERS).where(CLUSTERS.c.name == name))
