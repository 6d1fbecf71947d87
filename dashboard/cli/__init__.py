"""The ``greenup`` command. Everything heavy is imported by the command that needs it."""

from dashboard.cli.main import app, main

__all__ = ["app", "main"]
