"""Validation of command-line arguments and paths."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import typer

from compute.errors import InputError
from compute.files.file_kinds import require_regular_file

_MOST_CHARACTERS = 4096
"""Maximum length of an argument in characters, as for a path on Linux."""


def check_words(words: Sequence[str]) -> None:
    """Refuse arguments that are not UTF-8 text, contain NUL, or are longer than `_MOST_CHARACTERS`.

    Raises
    ------
    InputError
        An argument is refused; the message names the option before it, or its number.
    """
    for number, word in enumerate(words, start=1):
        problem = _problem(word)
        if problem:
            where = _where(word, words[number - 2] if number > 1 else "", number)
            raise InputError("argument", f"{where} {problem}.")


def _problem(word: str) -> str:
    if len(word) > _MOST_CHARACTERS:
        return f"has {len(word):,} characters; give at most {_MOST_CHARACTERS:,}"
    if "\0" in word:
        return "holds a NUL byte; give text without one"
    if any("\ud800" <= character <= "\udfff" for character in word):
        return "is not UTF-8 text; give text or a file name that is"
    return ""


def _where(word: str, before: str, number: int) -> str:
    option, equals, _ = word.partition("=")
    if equals and option.startswith("--") and not _problem(option):
        return f"The value of {option}"
    return f"The word after {before}" if before.startswith("--") else f"Word {number} of the command line"


def path_option(help_text: str, metavar: str = "PATH", panel: str | None = None) -> Any:
    """Return a Typer option for the path of a file or folder.

    Parameters
    ----------
    help_text : str
        Help text.
    metavar : str
        Placeholder for the path in the help.
    panel : str, optional
        Heading of the option in the help.
    """
    return typer.Option(help=help_text, parser=_path, metavar=metavar, rich_help_panel=panel)


def path_argument(help_text: str) -> Any:
    """Return a Typer argument for paths of files; see `path_option`."""
    return typer.Argument(help=help_text, parser=_path, metavar="FILE")


def _path(text: str | Path) -> Path:
    """Parse a path, and refuse an empty text, which would be the working folder."""
    if not str(text):
        raise typer.BadParameter("the path is empty.")
    return Path(text)


def given_file(path: Path | None, field: str) -> Path | None:
    """Return a path unchanged, after checking that it is not a FIFO, device or folder.

    Raises
    ------
    InputError
        The path is a FIFO, a device or a folder.
    """
    if path is not None:
        require_regular_file(path, field)
    return path


def given_documents(paths: Sequence[str]) -> None:
    """Check the paths of documents before an index is opened.

    Parameters
    ----------
    paths : sequence of str
        Files, folders and glob patterns. At least one must exist or match a file; the others may be missing.

    Raises
    ------
    InputError
        A path is empty, a path is neither a regular file nor a folder, or none of the paths exists.
    """
    for path in paths:
        if not path:
            raise InputError("paths", "One of the paths is empty; give files, globs or directories.")
        require_regular_file(Path(path), "paths", or_folder=True)
    if not any(_names_something(path) for path in paths):
        raise InputError("paths", f"The paths name nothing that exists, such as {Path(paths[0]).name[:80]!r}.")


def _names_something(path: str) -> bool:
    try:
        return Path(path).exists() or (has_magic(path) and bool(glob(path, recursive=True)))  # noqa: PTH207  # patterns may be absolute
    except OSError:
        return False
