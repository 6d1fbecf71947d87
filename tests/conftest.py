"""Fixtures of all tests, by subject, in tests/fixtures."""

import pytest

# Each after those it imports, so that pytest sees it first and explains its assertions.
pytest_plugins = [
    "tests.fixtures.scenes",
    "tests.fixtures.index",
    "tests.fixtures.gateway",
    "tests.fixtures.engine",
    "tests.fixtures.browser",
    "tests.fixtures.server",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the tests of a file run in one process, which they share clusters in, and what needs a browser run last.

    Playwright's synchronous API leaves an event loop running in its thread, so a file's tests that need a browser are
    a group of their own behind all others.
    """
    items.sort(key=_needs_browser)
    for item in items:
        group = f"{item.path.stem}-browser" if _needs_browser(item) else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


def _needs_browser(item: pytest.Item) -> bool:
    return "browser" in getattr(item, "fixturenames", ())
