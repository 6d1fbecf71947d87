"""Parts that a machine may lack: a test that needs one skips with one line, or fails where it is required."""

from __future__ import annotations

import os

import pytest


def require(part: str, available: bool, reason: str) -> None:
    """Skip the calling test when `part` is missing, unless ``GREENUP_REQUIRE`` names it: then fail."""
    if available:
        return
    if part in os.environ.get("GREENUP_REQUIRE", "").split(","):
        pytest.fail(f"{part} is required here, but {reason}")
    pytest.skip(f"{part}: {reason}")
