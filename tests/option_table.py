"""Write the README's table of options from the options of ``plan`` and ``run``: ``python -m tests.option_table``."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from compute.request import NdviRequest
from dashboard.cli.options import request_parameters

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- options: written by python -m tests.option_table -->\n", "<!-- end of options -->\n"


def option_table(record: type[NdviRequest] = NdviRequest) -> str:
    """Return the table in Markdown, one row an option."""
    rows = ["| option | meaning | default |", "|---|---|---|", *map(_row, request_parameters(record))]
    return "".join(f"{row}\n" for row in rows)


def _row(parameter: inspect.Parameter) -> str:
    info: Any = parameter.annotation.__metadata__[0]
    # Typer has the option's name where a default would be, as the default is the parameter's.
    name = info.default if isinstance(info.default, str) else f"--{parameter.name}"
    words = f"`{name} {info.metavar or ''}".rstrip().replace("|", "\\|")
    default = f"`{parameter.default}`" if parameter.default else ""
    return f"| {words}` | {info.help} | {info.show_default if isinstance(info.show_default, str) else default} |"


def replaced(readme: str) -> str:
    """Return the README with the table as it should be."""
    before, after = readme.partition(BEGIN)[0], readme.partition(END)[2]
    return f"{before}{BEGIN}\n{option_table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(replaced(README.read_text()))
