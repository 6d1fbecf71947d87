"""Retention of results: by the time since the last opening, and by total size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from compute.jobs.jobstore.rows import JobRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """Limits on the age and total size of results.

    Attributes
    ----------
    days : float
        Number of days until a result expires, from its last opening or the end of its computation, the later of both.
    most_bytes : float
        Largest total size of the checkpoints of finished results, in bytes.
    """

    days: float = 30.0
    most_bytes: float = float("inf")

    def kept_until(self, row: JobRow) -> datetime:
        """Return the time at which a result expires, unless it is opened before or the total size is exceeded."""
        return max(row.opened, row.ended or row.opened) + timedelta(days=self.days)

    def overdue(self, rows: Iterable[JobRow], now: datetime) -> list[JobRow]:
        """Return the finished results that exceed a limit at the time `now`, the least recently opened first."""
        done = sorted((row for row in rows if row.state == "done"), key=self.kept_until)
        too_many = sum(row.size for row in done) - self.most_bytes
        gone = []
        for row in done:
            if self.kept_until(row) > now and not (too_many > 0 and row.size):
                continue
            gone.append(row)
            too_many -= row.size
        return gone
