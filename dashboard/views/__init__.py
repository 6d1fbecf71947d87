"""What a visitor sees, one file a view: each lays out and binds, none has an effect of its own."""

from dashboard.views.page_layout import build_page
from dashboard.views.result_map import result_map

__all__ = ["build_page", "result_map"]
