"""``greenup password``: print a line for the password file."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from compute.errors import InputError

_SHORTEST = 8


def password(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")],
    from_input: Annotated[
        bool, typer.Option("--stdin", help="Read the password from standard input, without asking.")
    ] = False,
) -> None:
    """Print a line for the password file of the basic login; the password is asked for."""
    from dashboard.server.login import hash_password
    from dashboard.server.login.password_file import LONGEST_PASSWORD
    from dashboard.server.login.providers import valid_name

    if not valid_name(name) or ":" in name or name.startswith("#"):
        raise InputError("NAME", "A name has no colon, no hash first, no line break, and at most 200 characters.")
    if from_input:
        given = sys.stdin.readline(LONGEST_PASSWORD + 2).rstrip("\r\n")
    else:
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not _SHORTEST <= len(given) <= LONGEST_PASSWORD:
        raise InputError("password", f"A password has {_SHORTEST} to {LONGEST_PASSWORD} characters; choose another.")
    typer.echo(f"{name}:{hash_password(given)}")
