"""Fixtures of all tests, by subject, in tests/fixtures."""

# Each after those it imports, so that pytest sees it first and explains its assertions.
pytest_plugins = [
    "tests.fixtures.scenes",
    "tests.fixtures.index",
    "tests.fixtures.gateway",
    "tests.fixtures.engine",
    "tests.fixtures.browser",
    "tests.fixtures.server",
]
