"""The ``greenup`` command with its subcommands; errors are printed as one sentence and set the exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from compute import __version__
from compute.errors import GreenupError, InputError
from dashboard.cli import doctor, index, jobs, password, plan, products, run, serve
from dashboard.cli.arguments import check_words
from dashboard.cli.output import one_line

REFUSED, FAILED, INTERRUPTED = 2, 1, 130
"""Exit codes for refused input, for any other error, and for an interrupt."""

app = typer.Typer(
    name="greenup",
    help="Plan, compute and explore larger-than-memory seasonal NDVI on Dask clusters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(serve.demo)
app.command("serve")(serve.serve)
app.command("password")(password.password)
app.command("plan")(plan.plan)
app.command("run")(run.run)
app.add_typer(index.app, name="index")
app.add_typer(products.app, name="products")
app.add_typer(jobs.app, name="jobs")
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"greenup {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Larger-than-memory seasonal NDVI on Dask clusters."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``greenup`` and return the exit code; see `run_application`."""
    return run_application(app, arguments)


def run_application(application: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run a command line, and print an error as one sentence on standard error.

    Parameters
    ----------
    application : typer.Typer
        Commands of the command line.
    arguments : sequence of str, optional
        Arguments after the name of the program; by default those of the process.

    Returns
    -------
    int
        Exit code: 0 for success, 2 for refused input, 130 for an interrupt, 1 for any other error, or that of the
        command.
    """
    try:
        check_words(sys.argv[1:] if arguments is None else arguments)
        outcome = application(args=arguments, standalone_mode=False)
    except InputError as error:
        return _say(str(error), REFUSED)
    except GreenupError as error:
        return _say(str(error), FAILED)
    except typer.TyperException as error:
        return _say(_usage(error), REFUSED)
    except (typer.Abort, KeyboardInterrupt, asyncio.CancelledError):
        return _say("Interrupted.", INTERRUPTED)
    except Exception as error:  # a bug: users get a sentence, and the traceback with GREENUP_DEBUG
        from compute.settings import load_settings

        if load_settings().debug:
            raise
        return _say(f"Greenup failed ({type(error).__name__}); set GREENUP_DEBUG=1 to see where.", FAILED)
    if outcome == INTERRUPTED:
        return _say("Interrupted.", INTERRUPTED)
    return outcome if isinstance(outcome, int) else 0


def _usage(error: typer.TyperException) -> str:
    """Return the sentence for an error of usage, with the command that prints the help."""
    context = getattr(error, "ctx", None)
    command = "greenup" if context is None else context.command_path
    return f"{error.format_message().rstrip('.')}; see {command} --help."


def _say(sentence: str, code: int) -> int:
    print(one_line(sentence), file=sys.stderr)  # noqa: T201  # the one place where an error reaches a terminal
    return code
