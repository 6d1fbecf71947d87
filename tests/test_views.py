"""The views without a browser: what they keep, and what they say."""

from __future__ import annotations

import gc
import weakref

import pytest

from dashboard.state import VisitState
from dashboard.units import size_text
from dashboard.views import build_page, result_map


def test_nothing_keeps_a_page_once_its_visit_has_ended() -> None:
    state = VisitState()
    ended = weakref.ref(state)
    page = build_page(state, result_map(state))
    del state, page
    gc.collect()
    assert ended() is None


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "0.977 KiB"),
        (2**20 * 52.34, "52.3 MiB"),
        (2**20 * 1012.6, "0.989 GiB"),
        (2**30 * 64, "64 GiB"),
        (2**40 * 5000, "5e+03 TiB"),
    ],
)
def test_sizes_have_three_digits(count: float, text: str) -> None:
    assert size_text(count) == text
