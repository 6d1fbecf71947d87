"""Number format of results: version of the rules that determine their bits, independent of releases."""

from __future__ import annotations

NUMBER_FORMAT = "0.1.0"
"""Name of the current number format, which is part of a result's token, its manifest, and its row in the list of jobs.

The format changes only if the same request with the same scenes gives different bits. A release with the same format
can read and resume results of an earlier release. The first format is named after the release that introduced it.
"""
