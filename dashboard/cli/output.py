"""Output of commands as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_LONGEST = 1000
"""Maximum length of a sentence in characters. Longer ones are shortened in the middle, because the end has the remedy.
"""


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(document, allow_nan=False))


def one_line(sentence: str) -> str:
    """Return a sentence on one line, with control characters escaped; quoted arguments may contain them."""
    text = " ".join(sentence.split())
    text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 4 :]}"


def to_people() -> Console:
    """Return a console on standard error for progress and messages; standard output is for results."""
    return Console(stderr=True, highlight=False)


def print_pairs(title: str, rows: Sequence[tuple[str, str | Text]]) -> None:
    """Print a title and a table of names and values on standard output; markup in texts is not interpreted."""
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), value if isinstance(value, Text) else Text(value))
    Console(highlight=False).print(table)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a title and a table with column names on standard output; markup in texts is not interpreted."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2))
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", style="" if number else "dim")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)
