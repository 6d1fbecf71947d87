"""Fixtures of all tests, by subject, in tests/fixtures."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator

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


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the engine's kernels once, before processes of tests and their workers would each do it at once."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        subprocess.run([sys.executable, "-c", _COMPILE], check=False)


_COMPILE = "from compute.tiles.tile_patches import warm_up; warm_up()"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a file that need a browser last: until its end, Playwright leaves an event loop running."""
    files = {path: place for place, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (files[item.path], "browser" in getattr(item, "fixturenames", ())))


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
