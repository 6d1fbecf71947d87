"""``greenup jobs``: administration of the list of jobs in the database, whether or not a server runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, print_pairs, print_table

if TYPE_CHECKING:
    from datetime import datetime

    from compute.jobs import JobAdministration, JobRow

app = typer.Typer(help="The jobs of the servers that share a list of jobs.", no_args_is_help=True)

Token = Annotated[str, typer.Argument(help="Token of the job, or the start of it.")]

_ASKED = "The server that computes it is asked to {}; it takes a moment."


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all jobs, newest first, without those that expired over a week ago."""
    rows = _administration().list_jobs()
    if as_json:
        print_json({"jobs": [_document(row) for row in rows]})
        return
    lines = [(row.token[:8], row.state, f"{row.done}/{row.total}", row.owner, _name(row)) for row in rows]
    print_table("Jobs", ["token", "state", "blocks", "owner", "what"], lines)


@app.command()
def show(token: Token, as_json: AsJson = False) -> None:
    """Show a job with its request."""
    jobs = _administration()
    row = jobs.find_job(token)
    details = jobs.read_details(row)
    document = _document(row) | {"request": details.recipe}
    if as_json:
        print_json(document | {"scenes_failed": [asdict(each) for each in details.failed_scenes]})
        return
    document |= {"scenes_failed": list(details.failed_scenes)}
    print_pairs("Job", [(name, _text(value)) for name, value in document.items() if value not in (None, "", [])])


@app.command()
def cancel(token: Token, as_json: AsJson = False) -> None:
    """Cancel a job that is not done yet."""
    from compute.jobs import CANCELLED

    jobs = _administration()
    row = jobs.find_job(token)
    done = jobs.cancel_job(row)
    _print_outcome(row, "cancelled" if done else "asked", CANCELLED if done else _ASKED.format("stop"), as_json)


@app.command()
def delete(token: Token, as_json: AsJson = False) -> None:
    """Delete a job with its result."""
    jobs = _administration()
    row = jobs.find_job(token)
    done = jobs.delete_job(row)
    sentence = "The job is deleted." if done else _ASKED.format("delete it")
    _print_outcome(row, "deleted" if done else "asked", sentence, as_json)


@app.command()
def rebuild(as_json: AsJson = False) -> None:
    """Add the jobs of the results in GREENUP_RESULTS that the list lacks."""
    added, damaged = _administration().rebuild_list()
    if as_json:
        print_json({"added": added, "damaged": damaged})
        return
    typer.echo(f"{len(added)} jobs added.")
    for name in damaged:
        typer.echo(f"The manifest of {name} cannot be read any more; remove the folder.", err=True)


def _administration() -> JobAdministration:
    from compute.jobs import JobAdministration
    from compute.settings import load_settings

    return JobAdministration(load_settings())


def _document(row: JobRow) -> dict[str, Any]:
    times = {name: _iso(getattr(row, name)) for name in ("created", "started", "ended", "opened")}
    about = {**row.about}
    return {
        "token": row.token,
        "title": row.title,
        "state": row.state,
        "message": row.message,
        "done": row.done,
        "total": row.total,
        "owner": row.owner,
        **about,
        "cluster": row.cluster.kind,
        "checkpoint": row.checkpoint,
        "bytes": row.size,
        "engine": row.engine,
        **times,
    }


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec="seconds")


def _name(row: JobRow) -> str:
    return row.title or f"{row.about['start']} to {row.about['end']}, {', '.join(row.about['products'])}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print_outcome(row: JobRow, outcome: str, sentence: str, as_json: bool) -> None:
    if as_json:
        print_json({"token": row.token, "outcome": outcome})
    else:
        typer.echo(sentence)
