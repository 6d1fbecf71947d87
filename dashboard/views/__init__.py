"""Views of the page, one module each. They create components and bind them to the state, without side effects."""

from dashboard.views.page_layout import build_page
from dashboard.views.result_map import result_map

__all__ = ["build_page", "result_map"]
