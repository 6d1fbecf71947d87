"""Fixtures of all tests, by subject, in tests/fixtures."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Each after those it imports, so that pytest sees it first and explains its assertions.
pytest_plugins = [
    "tests.fixtures.scenes",
    "tests.fixtures.index",
    "tests.fixtures.gateway",
    "tests.fixtures.engine",
    "tests.fixtures.jobs",
    "tests.fixtures.browser",
    "tests.fixtures.server",
]


_COMPILER = pytest.StashKey[subprocess.Popen[bytes]]()
_COMPILE = "from compute.tiles.tile_patches import warm_up; warm_up()"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the engine's kernels once, while tests are collected, before processes of tests would each do it.

    A process that tests start keeps the bytecode of our modules too, which each of hundreds would compile again where
    ``PYTHONDONTWRITEBYTECODE`` is set, as in many container images.
    """
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        session.config.stash[_COMPILER] = subprocess.Popen([sys.executable, "-c", _COMPILE])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files without unit tests out of ``-m unit``, as their imports would last as long as the unit tests."""
    if config.option.markexpr == "unit" and collection_path.match("test_*.py"):
        return "pytest.mark.unit" not in collection_path.read_text() or None
    return None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Wait for the compiled kernels where this process runs the tests."""
    _await_compiler(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """Wait for the compiled kernels where pytest-xdist is about to hand out the tests."""
    _await_compiler(node.config)


def _await_compiler(config: pytest.Config) -> None:
    if compiler := config.stash.get(_COMPILER, None):
        compiler.wait()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the order of the tests, which processes take file by file.

    Files of unit tests come last: they are short, so that no process works for minutes when the others have nothing
    left. In a file, tests that need a browser come last: until its end, Playwright leaves an event loop running.
    """
    place = {path: number for number, path in enumerate(dict.fromkeys(item.path for item in items))}
    whole = {item.path for item in items if not item.get_closest_marker("unit")}
    items.sort(key=lambda item: (item.path not in whole, place[item.path], "browser" in _fixtures(item)))


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


@pytest.fixture(scope="session", autouse=True)
def own_jobs() -> Iterator[None]:
    """Give every server of the run a list of jobs of its own, in memory, and have it keep nothing in anybody's home."""
    # Not below pytest's folder, whose path may be too long for a socket.
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="greenup-test-") as home:
        patch.setenv("GREENUP_HOME", home)
        patch.setenv("GREENUP_JOBS_URL", "sqlite://")
        patch.setenv("GREENUP_RESULTS", "none")
        patch.setenv("GREENUP_SECRET", "the secret of this run of the tests")
        yield
