"""``greenup doctor``: check the installation, and suggest remedies."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from compute.errors import GreenupError
from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, print_pairs
from dashboard.formatting import size_text

if TYPE_CHECKING:
    from compute.settings import Settings

_LIBRARIES = ("datacube", "dask", "distributed", "dask-gateway", "numpy", "numba", "xarray", "rasterio", "odc-geo")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Result of one check: its name, whether it passed, and a sentence."""

    name: str
    works: bool
    detail: str


def doctor(as_json: AsJson = False) -> None:
    """Check Python, libraries, memory, the home folder, the index and the Gateway."""
    from compute.settings import load_settings

    findings = list(_findings(load_settings()))
    healthy = all(finding.works for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        print_pairs("Doctor", [(finding.name, _verdict(finding)) for finding in findings])
    if not healthy:
        raise typer.Exit(1)


def _verdict(finding: Finding) -> Text:
    mark = ("ok   ", "green") if finding.works else ("bad  ", "red")
    return Text.assemble(mark, finding.detail)


def _findings(settings: Settings) -> Iterator[Finding]:
    yield Finding(name="python", works=True, detail=f"{platform.python_version()} on {platform.system()}")
    yield Finding(name="libraries", works=True, detail=", ".join(f"{name} {version(name)}" for name in _LIBRARIES))
    for name, look in (
        ("machine", _machine),
        ("gdal", _gdal),
        ("home", _home),
        ("index", _index),
        ("gateway", _gateway),
    ):
        yield _try(name, look, settings)


def _try(name: str, look: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(name=name, works=True, detail=look(settings))
    except GreenupError as error:
        return Finding(name=name, works=False, detail=str(error))


def _machine(_: Settings) -> str:
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    return f"{CPU_COUNT} processors, {size_text(MEMORY_LIMIT)} of memory"


def _gdal(_: Settings) -> str:
    import rasterio

    with rasterio.Env() as env:
        drivers = env.drivers()
    if not {"GTiff", "COG"} <= set(drivers):
        raise GreenupError("GDAL lacks the GTiff or COG driver; install rasterio from its wheels.")
    return f"GDAL {rasterio.__gdal_version__} with {len(drivers)} drivers"


def _home(settings: Settings) -> str:
    from compute.settings.home import open_home

    try:
        probe = open_home(settings) / ".doctor"
        probe.touch()
        probe.unlink()
    except OSError:
        raise GreenupError(f"{settings.home} cannot be written; set GREENUP_HOME to a folder of yours.") from None
    return str(settings.home)


def _index(settings: Settings) -> str:
    from compute.catalog import index_status

    found = index_status(settings)
    scenes = sum(product.scenes for product in found.products)
    return f"{found.kind}, {len(found.products)} products, {scenes} scenes"


def _gateway(settings: Settings) -> str:
    import asyncio

    import dask.config

    from compute.cluster import list_gateway_clusters

    if find_spec("dask_gateway") is None or not (settings.gateway_address or dask.config.get("gateway.address", None)):
        return "none is configured; GREENUP_GATEWAY_ADDRESS names one"
    return f"{len(asyncio.run(list_gateway_clusters(settings)))} clusters of yours are running"
