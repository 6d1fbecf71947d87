"""``greenup serve`` and ``greenup demo``: the dashboard."""

from __future__ import annotations

import asyncio
import os
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from compute.errors import GreenupError, InputError
from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, to_people

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compute.cluster import ClusterSpec
    from compute.settings import Settings
    from dashboard.app import Address

_KINDS = ("none", "basic", "oauth", "header", "jupyterhub")

_FOREIGN = (
    "PANEL_BASIC_AUTH",
    "PANEL_OAUTH_PROVIDER",
    "PANEL_OAUTH_KEY",
    "PANEL_OAUTH_SECRET",
    "PANEL_OAUTH_OPTIONAL",
    "PANEL_OAUTH_GUEST_ENDPOINTS",
    "PANEL_COOKIE_SECRET",
    "BOKEH_AUTH_MODULE",
    "BOKEH_COOKIE_SECRET",
)
"""Settings of logins of Panel's and Bokeh's own, which this server does not use."""

Port = Annotated[int, typer.Option(help="Port of the page; 0 for any free one.")]
Host = Annotated[str, typer.Option("--address", help="Interface to listen on.")]
Prefix = Annotated[str, typer.Option(help="Path below which everything lies, behind a proxy.")]
Origin = Annotated[list[str] | None, typer.Option(help="Host from which browsers may connect, repeatable.")]
Proxy = Annotated[
    list[str] | None,
    typer.Option(help="Address or network of a proxy whose X-Forwarded headers are believed, repeatable."),
]
Auth = Annotated[
    str | None, typer.Option(metavar="KIND", help="Login: none, basic, oauth, header or jupyterhub; see README.")
]
NoLogin = Annotated[
    bool, typer.Option("--no-login", help="Serve beyond this machine without a login: whoever gets there may compute.")
]
Cluster = Annotated[str, typer.Option(help="local, gateway, gateway:NAME, or tcp://HOST:PORT.")]
Workers = Annotated[int | None, typer.Option(help="Number of workers; left out, what suits the cluster.")]
Threads = Annotated[int | None, typer.Option(help="Threads of each local worker; left out, the cores are shared out.")]
Adapt = Annotated[
    str | None, typer.Option(metavar="LEAST-MOST", help="Workers as needed within these limits, such as 1-8.")
]
Parent = Annotated[int | None, typer.Option(metavar="PID", help="Process that starts it: stop when that one ends.")]
Show = Annotated[bool, typer.Option("--show/--no-show", help="Open a browser.")]


def serve(
    port: Port = 5006,
    address: Host = "127.0.0.1",
    prefix: Prefix = "",
    origin: Origin = None,
    proxy: Proxy = None,
    auth: Auth = None,
    no_login: NoLogin = False,
    cluster: Cluster = "local",
    workers: Workers = None,
    adapt: Adapt = None,
    threads: Threads = None,
    parent: Parent = None,
    show: Show = False,
) -> None:
    """Serve the dashboard for the configured index and cluster until it is stopped."""
    from compute.cluster import parse_cluster
    from compute.settings import load_settings

    spec = parse_cluster(cluster, workers=workers, adapt=adapt, threads=threads)
    settings = load_settings()
    where = _address(address, port, prefix, origin or (), proxy or (), auth or settings.auth)
    _check_login(where, no_login=no_login)
    _serve(settings, where, spec, parent, show=show)


def demo(
    port: Port = 5006,
    address: Host = "127.0.0.1",
    no_login: NoLogin = False,
    scenes_only: Annotated[bool, typer.Option(help="Write and index the scenes, and stop there.")] = False,
    show: Show = True,
    as_json: AsJson = False,
) -> None:
    """Everything on this machine: embedded index, synthetic Landsat 8 scenes over Tasmania, cluster, dashboard."""
    from compute.cluster import parse_cluster
    from compute.settings import load_settings

    settings = load_settings()
    where = _address(address, port, auth=settings.auth)
    _check_login(where, no_login=no_login)
    count = _prepare(settings)
    if as_json:
        print_json({"scenes": count})
    else:
        typer.echo(f"{count} synthetic scenes over Tasmania are ready.")
    if not scenes_only:
        _serve(settings, where, parse_cluster("local"), None, show=show)


def _prepare(settings: Settings) -> int:
    from compute.catalog import add_products, add_scenes, init_index
    from compute.demo import product_document, write_scenes

    with Progress(console=to_people(), transient=True) as progress:
        documents = write_scenes(settings.home / "demo", progress=_shown(progress, "Writing demo scenes"))
        init_index(settings)
        add_products(settings, [product_document()])
        add_scenes(settings, documents, progress=_shown(progress, "Adding them to the index"))
    return len(documents)


def _shown(progress: Progress, description: str) -> Callable[[int, int | None], None]:
    task = progress.add_task(description, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def _address(
    host: str,
    port: int,
    prefix: str = "",
    origins: Sequence[str] = (),
    proxies: Sequence[str] = (),
    auth: str = "none",
) -> Address:
    from dashboard.app import Address

    return Address(
        host=host, port=port, prefix=prefix.rstrip("/"), origins=tuple(origins), proxies=tuple(proxies), auth=auth
    )


def _check_login(where: Address, *, no_login: bool) -> None:
    """Refuse a server that others reach without a login, and a login that its operator believes in but is not there.

    Raises
    ------
    InputError
        It must not start.
    """
    if where.auth not in _KINDS:
        raise InputError("auth", f"{where.auth[:40]!r} is no kind of login; give one of {', '.join(_KINDS)}.")
    foreign = next((name for name in _FOREIGN if os.environ.get(name)), None)
    if foreign is not None:
        raise InputError(
            foreign, f"{foreign} has no effect on Greenup; unset it, and choose a login by --auth (see README, Login)."
        )
    if no_login and where.auth != "none":
        raise InputError("no-login", f"--no-login contradicts --auth {where.auth}; leave one of them out.")
    if where.auth == "none" and not no_login and not where.is_loopback:
        raise InputError(
            "auth",
            f"Whoever reaches {where.host} could use this server, as it has no login; choose one by --auth, or say "
            "--no-login.",
        )


def _serve(settings: Settings, where: Address, spec: ClusterSpec, parent: int | None, *, show: bool) -> None:
    from compute.products import load_profiles
    from dashboard.app import serve_until_stopped

    def announce(url: str) -> None:
        typer.echo(f"Greenup is at {url}  (Ctrl-C stops it)", err=True)
        if show:
            webbrowser.open(url)

    try:
        asyncio.run(serve_until_stopped(settings, load_profiles(None), spec, where, announce, parent))
    except OSError:
        raise GreenupError(f"Port {where.port} cannot be used; give --port another, or 0 for any free one.") from None
