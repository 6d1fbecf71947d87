"""The home folder: for its user alone, and refused where others could have put something there."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.errors import InputError
from compute.jobs import JobStore
from compute.jobs.secret_key import server_secret
from compute.settings import Settings
from compute.settings.home import make_private, open_home
from tests.fixtures.other_people import NOBODY, list_paths, list_readable_paths, require_another_user, run_as_nobody

pytestmark = pytest.mark.unit

WRITABLE = stat.S_IWGRP | stat.S_IWOTH


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_whatever_the_umask_it_is_made_for_its_user_alone_with_what_is_above_it(tmp_path: Path, no_umask: None) -> None:
    home = tmp_path / "data" / "greenup"
    assert open_home(Settings(home=home)) == home
    assert (mode(home.parent), mode(home)) == (0o700, 0o700)
    server_secret(Settings(home=home, secret=None))
    JobStore.from_settings(Settings(home=home, jobs_url=None)).list_jobs()
    assert {name.name: mode(name) for name in home.iterdir()}.items() >= {("secret", 0o600), ("jobs.sqlite", 0o600)}
    assert [name.name for name in home.iterdir() if mode(name) & 0o077] == []


@given(of_home=st.integers(0, 0o077), of_file=st.integers(0, 0o777))
def test_one_that_is_there_is_closed_or_refused_whatever_its_mode(of_home: int, of_file: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, file = Path(folder), Path(folder, "jobs.sqlite")
        file.touch()
        file.chmod(of_file)
        home.chmod(0o700 | of_home)
        if of_home & WRITABLE:
            with pytest.raises(InputError, match=r"may write to the folder GREENUP_HOME; remove .* or set GREENUP_"):
                open_home(Settings(home=home))
            assert mode(home) == 0o700 | of_home
        else:
            open_home(Settings(home=home))
            assert mode(home) & 0o066 == 0
            assert mode(file) & 0o066 == 0 or mode(home) == 0o700 | of_home


def test_one_of_an_older_release_is_closed_with_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = tmp_path / "home"
    home.mkdir(0o755)
    for name in ("jobs.sqlite", "jobs.sqlite-wal"):
        (home / name).touch(0o644)
    (home / "results").mkdir(0o755)
    (home / "elsewhere").symlink_to(tmp_path)
    before = mode(tmp_path)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            open_home(Settings(home=home))
    assert len(caplog.records) == 1
    assert "their access was removed" in caplog.text
    assert str(tmp_path) not in caplog.text
    assert {name.name: mode(name) & 0o066 for name in home.iterdir()} == {
        "jobs.sqlite": 0,
        "jobs.sqlite-wal": 0,
        "results": 0,
        "elsewhere": before & 0o066,
    }


def test_one_of_another_user_is_refused(tmp_path: Path) -> None:
    require_another_user()
    home = tmp_path / "home"
    home.mkdir(0o700)
    os.chown(home, NOBODY, NOBODY)
    for act in (open_home, server_secret, JobStore.from_settings):
        with pytest.raises(InputError, match="belongs to another user of this machine; set GREENUP_HOME") as refusal:
            act(Settings(home=home, secret=None, jobs_url=None))
        assert str(tmp_path) not in str(refusal.value)


def test_one_that_cannot_be_made_is_left_to_who_writes_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    assert open_home(Settings(home=home)) == home


def test_another_user_reads_nothing_below_it(no_umask: None) -> None:
    require_another_user()
    with tempfile.TemporaryDirectory(prefix="greenup-test-") as above:
        Path(above).chmod(0o755)
        settings = Settings(home=Path(above, "home"), secret=None, jobs_url=None)
        server_secret(settings)
        JobStore.from_settings(settings).list_jobs()
        make_private(open_home(settings) / "results")
        (settings.home / "results" / "block").touch()
        paths = list_paths(settings.home)
        assert len(paths) >= 5
        assert run_as_nobody(list_readable_paths, paths) == []
        assert run_as_nobody(list_readable_paths, [above]) == [above]
