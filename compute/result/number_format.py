"""Number format of results: the rules by which their numbers come about, named apart from releases."""

from __future__ import annotations

NUMBER_FORMAT = "0.1.0"
"""Name of the rules; part of a result's token, manifest and row in the list of jobs.

It changes when the same request on the same scenes gives other bits, and with nothing else: a release of the same
format goes on with results of an earlier one. The first format is named after the release that had it.
"""
