"""What a visitor sees, one file a view: each lays out and binds, none has an effect of its own."""

from dashboard.views.layout import build_page

__all__ = ["build_page"]
