"""``greenup serve`` and ``greenup demo``: serve the dashboard."""

from __future__ import annotations

import asyncio
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from compute.errors import InputError
from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, to_people

if TYPE_CHECKING:
    from collections.abc import Callable

    from compute.cluster import ClusterSpec
    from compute.settings import Settings
    from dashboard.server_address import Address

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 for any free one.")]
Host = Annotated[str, typer.Option("--address", help="Interface to listen on.")]
Prefix = Annotated[str, typer.Option(help="Path prefix of all URLs, behind a proxy.")]
Origin = Annotated[list[str] | None, typer.Option(help="Host from which browsers may connect; repeatable.")]
Proxy = Annotated[
    list[str] | None,
    typer.Option(help="Address or network of a proxy whose X-Forwarded headers are trusted; repeatable."),
]
EmbedIn = Annotated[
    list[str] | None,
    typer.Option(metavar="ORIGIN", help="Site that may show the page in a frame, such as https://portal.example.org."),
]
UnixSocket = Annotated[
    Path | None,
    typer.Option(help="Unix socket to listen on in place of a port, for a proxy of the same user, such as Jupyter's."),
]
Auth = Annotated[
    str | None, typer.Option(metavar="KIND", help="Login: none, basic, oauth, header or jupyterhub; see README.")
]
NoLogin = Annotated[
    bool,
    typer.Option(
        "--no-login", help="Serve other machines without a login; everybody who reaches the page can compute."
    ),
]
Cluster = Annotated[str, typer.Option(help="local, gateway, gateway:NAME, or tcp://HOST:PORT.")]
Workers = Annotated[int | None, typer.Option(help="Number of workers; by default as many as suit the cluster.")]
Threads = Annotated[
    int | None, typer.Option(help="Threads of each local worker; by default an equal share of the cores.")
]
Adapt = Annotated[
    str | None, typer.Option(metavar="LEAST-MOST", help="Scale workers as needed within these limits, such as 1-8.")
]
Parent = Annotated[
    int | None, typer.Option(min=1, metavar="PID", help="Process to stop with: end when that process ends.")
]
Show = Annotated[bool, typer.Option("--show/--no-show", help="Open a browser.")]


def serve(
    port: Port = 5006,
    address: Host = "127.0.0.1",
    prefix: Prefix = "",
    origin: Origin = None,
    proxy: Proxy = None,
    embed_in: EmbedIn = None,
    unix_socket: UnixSocket = None,
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
    from compute.cluster import check_cluster, parse_cluster
    from compute.settings import load_settings
    from dashboard.cli.listening import check_login, checked_address

    spec = parse_cluster(cluster, workers=workers, adapt=adapt, threads=threads)
    settings = load_settings()
    check_cluster(spec, settings)
    where = checked_address(
        address,
        port,
        prefix,
        origins=origin or (),
        proxies=proxy or (),
        auth=auth or settings.auth,
        embed_in=embed_in or (),
        unix_socket=unix_socket,
    )
    check_login(where, no_login=no_login)
    _serve(settings, where, spec, parent, show=show)


def demo(
    port: Port = 5006,
    address: Host = "127.0.0.1",
    no_login: NoLogin = False,
    scenes_only: Annotated[bool, typer.Option(help="Write and index the scenes, without serving the page.")] = False,
    show: Show = True,
    as_json: AsJson = False,
) -> None:
    """Serve the dashboard with synthetic Landsat 8 scenes over Tasmania, an embedded index and a local cluster."""
    from compute.cluster import parse_cluster
    from compute.settings import load_settings
    from dashboard.cli.listening import check_login, checked_address

    settings = load_settings()
    where = None if scenes_only else checked_address(address, port, auth=settings.auth)
    if where is not None:
        check_login(where, no_login=no_login)
    count = _prepare(settings)
    if as_json:
        print_json({"scenes": count})
    else:
        typer.echo(f"{count} synthetic scenes over Tasmania are ready.")
    if where is not None:
        _serve(settings, where, parse_cluster("local"), None, show=show)


def _prepare(settings: Settings) -> int:
    from compute.catalog import add_products, add_scenes, init_index
    from compute.demo import product_document, write_scenes
    from compute.settings.home import make_private, open_home
    from compute.settings.locations import make_home

    # The index first, so that an error of it appears before the scenes, which take long to write.
    init_index(settings)
    folder = open_home(settings) / "demo"
    make_home(settings.home)
    make_private(folder)
    with Progress(console=to_people(), transient=True) as progress:
        documents = write_scenes(folder, progress=_shown(progress, "Writing demo scenes"))
        add_products(settings, [product_document()])
        add_scenes(settings, documents, progress=_shown(progress, "Adding them to the index"))
    return len(documents)


def _shown(progress: Progress, description: str) -> Callable[[int, int | None], None]:
    task = progress.add_task(description, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def _serve(settings: Settings, where: Address, spec: ClusterSpec, parent: int | None, *, show: bool) -> None:
    from compute.products import load_profiles
    from dashboard.app import serve_until_stopped
    from dashboard.cli.listening import port_refused

    def announce(url: str) -> None:
        typer.echo(f"Greenup is at {url}  (Ctrl-C stops it)", err=True)
        if show:
            webbrowser.open(url)

    try:
        asyncio.run(serve_until_stopped(settings, load_profiles(None), spec, where, announce, parent))
    except OSError:
        if where.unix_socket is not None:
            raise InputError(
                "unix-socket", "The folder of --unix-socket cannot be written; give a path in a folder of yours."
            ) from None
        # The port was free when it was checked.
        raise port_refused(where.port) from None
