"""The ``greenup`` command. Libraries that are slow to import are imported by the subcommands that need them."""

from dashboard.cli.main import app, main

__all__ = ["app", "main"]
