"""``greenup jobs``: the list of jobs, straight from its database, whether or not a server runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compute.errors import InputError
from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, print_pairs, print_table

if TYPE_CHECKING:
    from datetime import datetime

    from compute.jobs import JobRow, JobStore

app = typer.Typer(help="The jobs of the servers that share a list of jobs.", no_args_is_help=True)

Token = Annotated[str, typer.Argument(help="Token of the job, or how it begins.")]

_ASKED = "The server that computes it is asked to {}; it takes a moment."


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all jobs, newest first, but for those that expired over a week ago."""
    rows = _store().rows()
    if as_json:
        print_json({"jobs": [_document(row) for row in rows]})
        return
    lines = [(row.token[:8], row.state, f"{row.done}/{row.total}", row.owner, _name(row)) for row in rows]
    print_table("Jobs", ["token", "state", "blocks", "owner", "what"], lines)


@app.command()
def show(token: Token, as_json: AsJson = False) -> None:
    """Show all that is known of a job, its request included."""
    store = _store()
    row = _find(store, token)
    details = store.details(row.token)
    failed = [] if details is None else list(details.failed_scenes)
    document = _document(row) | {"request": "" if details is None else details.recipe, "scenes_failed": failed}
    if as_json:
        print_json(document | {"scenes_failed": [asdict(each) for each in failed]})
    else:
        print_pairs("Job", [(name, _text(value)) for name, value in document.items() if value not in (None, "", [])])


@app.command()
def cancel(token: Token, as_json: AsJson = False) -> None:
    """Stop a job that is not done yet."""
    from compute.jobs.jobstore.rows import ENDED
    from compute.jobs.run.computation import CANCELLED

    store = _store()
    row = _find(store, token)
    if row.state in ENDED:
        raise InputError("token", f"This job is {row.state} already; there is nothing to stop.")
    done = store.end(row.token, row.state, "cancelled", CANCELLED)
    if not done:
        store.wish(row.token, "cancel")
    _say(row, "cancelled" if done else "asked", CANCELLED if done else _ASKED.format("stop"), as_json)


@app.command()
def delete(token: Token, as_json: AsJson = False) -> None:
    """Forget a job, and remove all that is kept of its result."""
    from compute.jobs.checkpoint_recovery import remove

    store = _store()
    row = _find(store, token)
    done = store.delete(row.token)
    if not done:
        store.wish(row.token, "delete")
    elif row.checkpoint:
        remove(row.checkpoint)
    _say(row, "deleted" if done else "asked", "The job is deleted." if done else _ASKED.format("delete it"), as_json)


@app.command()
def rebuild(as_json: AsJson = False) -> None:
    """Add the jobs to the list that are kept in GREENUP_RESULTS and that it does not know."""
    from compute.errors import JobError
    from compute.jobs.checkpoint_recovery import rebuild
    from compute.settings import load_settings

    try:
        added, damaged = rebuild(_store(), load_settings().results_location)
    except OSError:
        raise JobError("The folder GREENUP_RESULTS cannot be read; see that it is there and may be read.") from None
    if as_json:
        print_json({"added": added, "damaged": damaged})
        return
    typer.echo(f"{len(added)} jobs added.")
    for name in damaged:
        typer.echo(f"The manifest of {name} cannot be read any more; remove the folder.", err=True)


def _store() -> JobStore:
    from compute.jobs import JobStore
    from compute.settings import load_settings

    return JobStore.of(load_settings())


def _find(store: JobStore, token: str) -> JobRow:
    """Return the one job whose token begins so, listed or not."""
    found = [row for row in store.rows() if row.token.startswith(token)] if token else []
    exact = store.row(token)
    if exact is None and len(found) != 1:
        what = f"begins with {token[:32]!r}" if not found else f"alone begins with {token[:32]!r}, but {len(found)} do"
        raise InputError("token", f"No job {what}; greenup jobs list names all of them.")
    return exact or found[0]


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


def _say(row: JobRow, outcome: str, sentence: str, as_json: bool) -> None:
    if as_json:
        print_json({"token": row.token, "outcome": outcome})
    else:
        typer.echo(sentence)
