"""How long results are kept: by age and by room, and never at the cost of one that is being made."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.jobs import JobRow, Retention
from tests.compute.jobs.jobstore.test_job_store import NOW, job

pytestmark = pytest.mark.unit

ROWS = st.lists(
    st.builds(
        lambda state, days, size, number: job(
            token=f"{number:032x}", state=state, opened=NOW - timedelta(days=days), ended=None, size=size
        ),
        state=st.sampled_from(["running", "done", "failed"]),
        days=st.integers(0, 60),
        size=st.integers(0, 100),
        number=st.integers(0, 2**60),
    ),
    max_size=12,
    unique_by=lambda row: row.token,
)


@given(rows=ROWS, days=st.integers(1, 60), most=st.integers(0, 300))
def test_what_is_old_goes_and_what_has_no_room_beginning_with_the_longest_unopened(
    rows: list[JobRow], days: int, most: int
) -> None:
    gone = Retention(days=days, most_bytes=most).overdue(rows, NOW)
    names = {row.token for row in gone}
    stay = [row for row in rows if row.state == "done" and row.token not in names]
    assert all(row.state == "done" for row in gone)
    assert all(NOW - row.opened < timedelta(days=days) for row in stay)
    assert sum(row.size for row in stay) <= most
    young = [row for row in gone if NOW - row.opened < timedelta(days=days)]
    # No more than had to: with the last of them, there would be too little room.
    if young:
        assert all(row.size for row in young)
        assert sum(row.size for row in stay) + young[-1].size > most
        assert max(row.opened for row in young) <= min((row.opened for row in stay if row.size), default=NOW)


def test_opening_a_result_keeps_it() -> None:
    row = job(state="done", opened=NOW, ended=NOW + timedelta(hours=3))
    assert Retention(days=30).kept_until(row) == NOW + timedelta(days=30, hours=3)
