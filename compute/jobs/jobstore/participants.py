"""Participants of each job: who asked for it and has not withdrawn."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import and_, delete, insert, select
from sqlalchemy.exc import IntegrityError

from compute.jobs.jobstore.database import Database
from compute.jobs.jobstore.tables import PARTICIPANTS


class ParticipantStore:
    """Participants of jobs, in the database of the jobs. Its methods wait and raise as those of a `JobStore` do.

    Parameters
    ----------
    database : Database
        Of the jobs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: str, participant: str) -> None:
        """Note that somebody takes part in a job, once however often."""
        with self._database.asking("written") as connection, suppress(IntegrityError):
            connection.execute(insert(PARTICIPANTS).values(token=token, participant=participant))

    def remove(self, token: str, participant: str) -> bool:
        """Note that somebody takes part in a job no more, and return whether others still do."""
        with self._database.asking("written") as connection:
            them = and_(PARTICIPANTS.c.token == token, PARTICIPANTS.c.participant == participant)
            connection.execute(delete(PARTICIPANTS).where(them))
            others = select(PARTICIPANTS.c.token).where(PARTICIPANTS.c.token == token)
            return connection.execute(others).first() is not None
