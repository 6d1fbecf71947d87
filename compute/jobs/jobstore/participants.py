"""Participants of each job: principals and browsers that submitted it and have not withdrawn."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import and_, delete, insert, select
from sqlalchemy.exc import IntegrityError

from compute.jobs.jobstore.database import Database
from compute.jobs.jobstore.tables import PARTICIPANTS


class ParticipantStore:
    """Store of participants, in the database of the jobs. Its methods block, and raise `JobStoreError`.

    Parameters
    ----------
    database : Database
        Database of the jobs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_participant(self, token: str, participant: str) -> None:
        """Add a participant of a job; a listed one is not added again."""
        with self._database.transaction("written") as connection, suppress(IntegrityError):
            connection.execute(insert(PARTICIPANTS).values(token=token, participant=participant))

    def remove_participant(self, token: str, participant: str) -> bool:
        """Remove a participant of a job, and return whether the job has others."""
        with self._database.transaction("written") as connection:
            them = and_(PARTICIPANTS.c.token == token, PARTICIPANTS.c.participant == participant)
            connection.execute(delete(PARTICIPANTS).where(them))
            others = select(PARTICIPANTS.c.token).where(PARTICIPANTS.c.token == token)
            return connection.execute(others).first() is not None
