"""Fixtures of all tests, by subject, in tests/fixtures."""

pytest_plugins: list[str] = []
