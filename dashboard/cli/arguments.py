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
"""Maximum length of one argument: that of a path on Linux."""


def check_words(words: Sequence[str]) -> None:
    """Refuse words that are not UTF-8 text or longer than any path.

    Raises
    ------
    InputError
        The sentence says which word, by the option before it or by its number.
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
    """Return an option that names a file or folder.

    Parameters
    ----------
    help_text : str
        Help text.
    metavar : str
        Placeholder for the path in the help.
    panel : str, optional
        Heading that the option stands below in the help.
    """
    return typer.Option(help=help_text, parser=_path, metavar=metavar, rich_help_panel=panel)


def path_argument(help_text: str) -> Any:
    """Return an argument that names files; see `path_option`."""
    return typer.Argument(help=help_text, parser=_path, metavar="FILE")


def _path(text: str | Path) -> Path:
    """Return a path; an empty text would be the working folder."""
    if not str(text):
        raise typer.BadParameter("the path is empty.")
    return Path(text)


def given_file(path: Path | None, field: str) -> Path | None:
    """Return a path as it is, once it is known to be no FIFO, device or folder.

    Raises
    ------
    InputError
        It is one of these.
    """
    if path is not None:
        require_regular_file(path, field)
    return path


def given_documents(paths: Sequence[str]) -> None:
    """Refuse paths of documents that are not readable files or folders, before an index is opened.

    Parameters
    ----------
    paths : sequence of str
        Files, folders and patterns; one that names nothing passes beside others that name something.

    Raises
    ------
    InputError
        One is empty, or no regular file or folder, or none of them names anything.
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
