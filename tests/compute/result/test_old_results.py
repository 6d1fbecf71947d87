"""Results and lists of jobs of earlier releases: they open at the same link, with the same numbers."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from compute.catalog import OdcCatalog
from compute.jobs import job_token
from compute.result.number_format import NUMBER_FORMAT
from compute.result.store import Checkpoint, Manifest
from compute.settings import Settings
from tests.fixtures.server import serve_in_thread

FORMAT_1 = Path(__file__).parents[2] / "data" / "format-1"
"""Store and list of jobs that release 0.1.0 wrote, its token, and what it answered for one place."""

SECRET = b"a secret of format 1"
PLACE = "value?lon=146.8&lat=-42.05"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of what the release left, in a folder elsewhere."""
    shutil.copytree(FORMAT_1, tmp_path / "old")
    with sqlite3.connect(tmp_path / "old" / "jobs.sqlite") as connection:
        checkpoint = str(tmp_path / "old" / "results" / token())
        # Nobody has opened it for longer than results are kept.
        connection.execute("update greenup_jobs set checkpoint = ?, opened = ?", (checkpoint, time.time()))
    connection.close()
    return tmp_path / "old"


def token() -> str:
    return (FORMAT_1 / "token").read_text()


@pytest.mark.index
def test_a_result_of_an_earlier_release_opens_at_its_link(
    catalog: OdcCatalog, index_settings: Settings, old: Path
) -> None:
    settings = index_settings.model_copy(
        update={
            "jobs_url": SecretStr(f"sqlite:///{old / 'jobs.sqlite'}"),
            "results": str(old / "results"),
            "secret": SecretStr(SECRET.decode()),
        }
    )
    with contextmanager(serve_in_thread)(settings) as served:
        (listed,) = served.get("api/results")["results"]
        assert (listed["token"], listed["state"]) == (token(), "done")
        assert served.get(f"api/results/{token()}/{PLACE}") == json.loads((FORMAT_1 / "value.json").read_text())


def test_the_same_request_has_the_same_token_in_this_release(old: Path) -> None:
    """Else everybody would compute once more what is kept."""
    manifest = Manifest.read(str(old / "results" / token()))
    assert manifest is not None
    assert manifest.engine == NUMBER_FORMAT
    assert job_token(manifest.plan, manifest.scope, SECRET) == token()


def test_a_kept_result_opens_without_the_list_of_jobs(old: Path) -> None:
    checkpoint = Checkpoint.find(str(old / "results" / token()))
    assert checkpoint is not None
    assert checkpoint.manifest.state == "done"
