"""``greenup jobs`` on a list that a server left behind, or that one works on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from compute.jobs import JobStore
from dashboard.cli import main
from tests.compute.jobs.jobstore.test_job_store import DETAILS, TOKEN, job

pytestmark = pytest.mark.unit

Run = Callable[..., tuple[int, str, str]]

OTHER = "b" * 32


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    """A list with a job that a server works on, and a result of none."""
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    monkeypatch.setenv("GREENUP_JOBS_URL", url)
    store = JobStore(url)
    about = {"start": "2020-12-01", "end": "2021-11-30", "products": ["p"], "bbox": [0, 0, 1, 1], "grid": [5, 6]}
    store.add_job(job(about=about, state="running", done=5), DETAILS)
    kept = tmp_path / "results" / OTHER
    (kept / "ndvi-0123abcd.zarr").mkdir(parents=True)
    (kept / "ndvi-0123abcd.zarr" / "block").write_bytes(bytes(100))
    result = job(token=OTHER, about=about, title="Mine", size=100, checkpoint=str(kept))
    store.add_job(result, DETAILS)
    store.save_job(job(token=OTHER, about=about, state="done", size=100, checkpoint=str(kept)), "one")
    return store


@pytest.fixture
def greenup(store: JobStore, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs ``greenup jobs``."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(("jobs", *words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_jobs_are_listed_and_shown(greenup: Run) -> None:
    code, out, _ = greenup("list", "--json")
    jobs = {each["token"]: each for each in json.loads(out)["jobs"]}
    assert code == 0
    assert {token: each["state"] for token, each in jobs.items()} == {TOKEN: "running", OTHER: "done"}
    assert (jobs[TOKEN]["done"], jobs[TOKEN]["total"], jobs[OTHER]["bytes"]) == (5, 12, 100)
    code, out, _ = greenup("show", "bbb", "--json")
    shown = json.loads(out)
    assert (code, shown["title"], shown["request"], shown["created"]) == (
        0,
        "Mine",
        DETAILS.recipe,
        "2026-11-26T03:00:00+00:00",
    )
    code, out, _ = greenup("list")
    assert code == 0
    assert "Mine" in out
    assert "5/12" in out


def test_what_a_server_works_on_is_its_to_stop_and_the_rest_goes_at_once(greenup: Run, store: JobStore) -> None:
    code, out, _ = greenup("cancel", TOKEN, "--json")
    assert (code, json.loads(out)) == (0, {"token": TOKEN, "outcome": "asked"})
    assert {row.token: row.wanted for row in store.list_jobs()} == {TOKEN: "cancel", OTHER: ""}
    store.release_jobs("one")
    code, out, _ = greenup("cancel", TOKEN)
    assert (code, out) == (0, "The computation was cancelled.\n")
    kept = store.find_job(OTHER)
    assert kept is not None
    assert Path(kept.checkpoint).exists()
    assert greenup("delete", OTHER)[:2] == (0, "The job is deleted.\n")
    assert not Path(kept.checkpoint).exists()
    assert [(row.token, row.state) for row in store.list_jobs()] == [(TOKEN, "cancelled")]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("show", "cafe"), "No job begins with 'cafe'; greenup jobs list names all of them.\n"),
        (("show", ""), "No job begins with ''; greenup jobs list names all of them.\n"),
        (("cancel", OTHER), "This job is done already; there is nothing to stop.\n"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(greenup: Run, words: tuple[str, ...], reason: str) -> None:
    assert greenup(*words) == (2, "", reason)


def test_a_list_that_is_not_there_is_one_sentence(greenup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENUP_JOBS_URL", "sqlite:////proc/none/jobs.sqlite")
    code, out, err = greenup("list")
    assert (code, out) == (1, "")
    assert err == "The list of jobs cannot be read; check the disk or the database behind GREENUP_JOBS_URL.\n"
