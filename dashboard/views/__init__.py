"""Views of the page, one file each: they lay out and bind, and have no effects."""

from dashboard.views.page_layout import build_page
from dashboard.views.result_map import result_map

__all__ = ["build_page", "result_map"]
