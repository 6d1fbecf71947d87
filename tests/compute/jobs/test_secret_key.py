"""The secret of tokens: made once however many servers begin at the same time, and read by its owner alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from compute.errors import InputError
from compute.jobs.secret_key import server_secret
from compute.settings import Settings

pytestmark = pytest.mark.unit


def test_servers_that_begin_at_once_have_one_secret(tmp_path: Path) -> None:
    home, start = tmp_path / "new" / "home", threading.Barrier(8)

    def ask(_: int) -> bytes:
        start.wait()
        return server_secret(Settings(home=home, secret=None))

    with ThreadPoolExecutor(8) as requesters:
        found = set(requesters.map(ask, range(8)))
    assert len(found) == 1
    assert len(found.pop()) == 64
    assert [path.name for path in home.iterdir()] == ["secret"]
    assert (home / "secret").stat().st_mode & 0o777 == 0o600


def test_the_secret_is_the_same_after_a_restart_and_another_elsewhere(tmp_path: Path) -> None:
    here, there = (Settings(home=tmp_path / name, secret=None) for name in ("here", "there"))
    assert server_secret(here) == server_secret(here) != server_secret(there)


def test_the_setting_goes_before_the_file(tmp_path: Path) -> None:
    given = SecretStr("sixteen letters!")
    assert server_secret(Settings(home=tmp_path, secret=given)) == b"sixteen letters!"
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_could_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="GREENUP_SECRET must have at least 16 characters"):
        server_secret(Settings(home=tmp_path, secret=SecretStr("short")))
    (tmp_path / "secret").touch()
    with pytest.raises(InputError, match="The file secret in GREENUP_HOME must have at least 16"):
        server_secret(Settings(home=tmp_path, secret=None))


def test_a_home_that_cannot_be_written_costs_the_next_start_alone(tmp_path: Path) -> None:
    blocked = Settings(home=tmp_path / "file" / "home", secret=None)
    (tmp_path / "file").touch()
    assert len(server_secret(blocked)) == 32
