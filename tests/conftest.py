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
    """Run what needs a browser last: Playwright's synchronous API leaves an event loop running in this thread."""
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))
