"""Number format of results: a name for the rules that determine every bit, independent of releases."""

from __future__ import annotations

NUMBER_FORMAT = "0.1.0"
"""Name of the current number format; part of a result's token, its manifest, and its row in the list of jobs.

It changes only when the same request on the same scenes gives different bits. A release with the same format reads
and resumes results of an earlier release. The first format is named after the release that introduced it.
"""
