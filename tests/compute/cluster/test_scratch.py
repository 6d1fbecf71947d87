"""Scratch folders of local workers: private, and removed once their owner is dead, however it died."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import dask
import pytest

from compute.cluster.scratch_folders import make_scratch
from compute.errors import ClusterError
from compute.settings import Settings
from tests.fixtures.other_people import NOBODY, require_another_user


def hold(home: Path, told: Connection) -> None:
    made = make_scratch(Settings(home=home))
    (made.path / "spilled").write_bytes(b"x")
    told.send(made.path)
    signal.pause()


@contextmanager
def another_owner(home: Path) -> Iterator[tuple[int, Path]]:
    """Run a process that owns a scratch folder; yield its number and the folder."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(home, theirs))
    process.start()
    try:
        assert process.pid is not None
        yield process.pid, ours.recv()
    finally:
        process.kill()
        process.join()


def test_that_of_a_killed_owner_is_removed_by_the_next_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    with another_owner(tmp_path) as (_, living):
        with another_owner(tmp_path) as (number, left):
            os.kill(number, signal.SIGKILL)
        assert (left / "spilled").exists()
        ours = make_scratch(Settings(home=tmp_path))
        assert sorted((tmp_path / "scratch").iterdir()) == sorted([living, ours.path])
        assert (living / "spilled").exists()
        again = make_scratch(Settings(home=tmp_path))
        assert ours.path.exists()
        for each in (ours, again):
            each.remove()
        assert list((tmp_path / "scratch").iterdir()) == [living]


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_it_is_for_its_user_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        made = make_scratch(Settings(home=tmp_path / "home"))
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (made.path.parent.parent, made.path.parent, made.path)]
    assert modes == [0o700] * 3
    assert [stat.S_IMODE(each.stat().st_mode) for each in made.path.iterdir()] == [0o600]
    made.remove()


def test_what_no_dead_owner_of_this_user_has_left_stays(tmp_path: Path) -> None:
    require_another_user()
    root = tmp_path / "scratch"
    records = {
        "greenup-begun": None,
        "greenup-of-another": "1 0.0",
        "greenup-link": "1 0.0",
        "other-tool": "1 0.0",
        "greenup-dead": "1 0.0",
        "greenup-broken": "what?",
        "greenup-empty": "",
    }
    for name, record in records.items():
        (root / name).mkdir(parents=True)
        if record is not None:
            (root / name / "owner").write_text(record)
    (root / "greenup-link" / "owner").rename(root / "owner-elsewhere")
    (root / "greenup-link" / "owner").symlink_to(root / "owner-elsewhere")
    os.chown(root / "greenup-of-another", NOBODY, NOBODY)
    with dask.config.set({"temporary-directory": str(root)}):
        made = make_scratch(Settings(home=tmp_path / "home"))
    kept = {each.name for each in root.iterdir() if each.is_dir()} - {made.path.name}
    assert kept == {"greenup-begun", "greenup-of-another", "greenup-link", "other-tool"}
    made.remove()


def test_a_process_that_lives_without_a_lock_keeps_its_own(tmp_path: Path) -> None:
    """As on a network file system without locks."""
    with another_owner(tmp_path) as (_, living):
        record = (living / "owner").read_text()
        (living / "owner").unlink()
        (living / "owner").write_text(record)
        make_scratch(Settings(home=tmp_path)).remove()
        assert living.exists()
        number = record.split()[0]
        (living / "owner").write_text(f"{number} 1.0")  # the number is another process's by now
        make_scratch(Settings(home=tmp_path)).remove()
        assert not living.exists()


def test_where_the_home_cannot_be_written_temporary_files_have_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "other"))
    made = make_scratch(Settings(home=tmp_path / "file" / "home"))
    assert made.path.parent == tmp_path / "other"
    made.remove()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="free space in GREENUP_HOME, or set temporary-directory"):
        make_scratch(Settings(home=tmp_path / "file" / "home"))


_CHILD = """
import sys, time
from pathlib import Path
from compute.cluster.scratch_folders import make_scratch
from compute.settings import Settings
made = make_scratch(Settings(home=Path(sys.argv[1])))
import subprocess
print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, close_fds=False).pid, flush=True)
time.sleep(60)
"""


def test_a_program_that_outlives_the_owner_does_not_hold_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        owner.kill()
    try:
        make_scratch(Settings(home=tmp_path)).remove()
        assert list((tmp_path / "scratch").iterdir()) == []
    finally:
        os.kill(child, signal.SIGKILL)
