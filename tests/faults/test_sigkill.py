"""Scheduler, Gateway server and Greenup server killed on the spot: the job goes on, under the same address.

All of them are real processes, and each job runs on a Gateway cluster that a visitor has started.
"""

from __future__ import annotations

import itertools
import json
import random
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer
from sqlalchemy import create_engine, update

from compute.catalog import OdcCatalog
from compute.cluster import ClusterSpec
from compute.jobs import ANONYMOUS, JobRow, JobStore
from compute.jobs.jobstore.rows import ENDED, details_of, new_row
from compute.jobs.jobstore.tables import CLUSTERS, JOBS
from compute.plan import NdviPlan
from compute.result.store import Checkpoint, open_result
from compute.settings import Settings
from tests.fixtures.engine import compute_here
from tests.fixtures.gateway import PASSWORD, USER, GatewayServer, free_ports, running_gateway
from tests.fixtures.processes import Family, family

pytestmark = [pytest.mark.gateway, pytest.mark.index]

SEED = 20201201
KILLS = 5
LINGER_S = 5.0
IDLE_S = 60.0
"""Later than the linger by far: what is gone before has been stopped by a server."""

CLUSTER = ClusterSpec(kind="gateway", workers=1, owner=ANONYMOUS.scope)
NOWHERE = "tcp://127.0.0.1:9"
"""The server's own cluster, on which nothing runs here."""


@dataclass
class Site:
    """A Gateway, a Greenup server, and what outlives both of them."""

    folder: Path
    gateway: GatewayServer
    home: Path
    port: int
    """Of one server after another, so that addresses stay."""
    servers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def store(self) -> JobStore:
        """The list of jobs, as any server reads it."""
        return JobStore(self._url)

    @property
    def _url(self) -> str:
        return f"sqlite:///{self.folder / 'jobs.sqlite'}"

    @contextmanager
    def server(self) -> Iterator[Family]:
        """Run a server until it is killed or the body ends."""
        folder = self.folder / f"server-{next(self.servers)}"
        folder.mkdir()
        environment = {
            "GREENUP_HOME": str(self.home),
            "GREENUP_JOBS_URL": self._url,
            "GREENUP_RESULTS": str(self.folder / "results"),
            "GREENUP_GATEWAY_ADDRESS": self.gateway.address,
            "GREENUP_CLUSTER_LINGER_S": str(LINGER_S),
            "DASK_GATEWAY__AUTH__TYPE": "basic",
            "DASK_GATEWAY__AUTH__KWARGS__USERNAME": USER,
            "DASK_GATEWAY__AUTH__KWARGS__PASSWORD": PASSWORD,
            "DASK_GATEWAY__HTTP_CLIENT__PROXY": "False",
        }
        greenup = str(Path(sys.executable).with_name("greenup"))
        command = [greenup, "serve", "--port", str(self.port), "--cluster", NOWHERE]
        with family(command, folder, **environment) as started:
            started.await_words("Greenup is at")
            yield started

    def acknowledge(self, plan: NdviPlan) -> str:
        """Add a job to the list, as a server does before it begins it; the one that runs takes it up."""
        token = secrets.token_hex(16)
        row = new_row(plan, token=token, scope=ANONYMOUS.scope, cluster=CLUSTER)
        assert self.store.add_job(row, details_of(plan))
        return token

    def ask(self, token: str, more: str = "") -> Any:
        """Return what the server says of a result at the address that it has for good."""
        url = f"http://127.0.0.1:{self.port}/api/results/{token}{more}"
        with urllib.request.urlopen(url, timeout=30) as reply:
            return json.load(reply)

    def is_done(self, token: str) -> bool:
        """Tell whether the server shows the whole result; while it is away, it does not."""
        with suppress(ConnectionError, urllib.error.URLError):
            about = self.ask(token)
            assert about["state"] not in ENDED - {"done"}, about
            return bool(about["state"] == "done")
        return False

    def row(self, token: str) -> JobRow:
        """Return what the list says of a job."""
        row = self.store.find_job(token)
        assert row is not None
        return row

    def written(self, token: str) -> dict[Path, int]:
        """Return the marks of the blocks that are kept, and when each was written."""
        checkpoint = Checkpoint.find(str(self.folder / "results" / token))
        if checkpoint is None:
            return {}
        whole = {"-".join(map(str, index)) + ".json" for index in checkpoint.written()}
        marks = (path for path in (Path(checkpoint.store) / "blocks").glob("*.json") if path.name in whole)
        return {path: path.stat().st_mtime_ns for path in marks}

    def is_right(self, token: str, exact: xr.Dataset) -> None:
        """Hold what is kept and what the server shows against what one process computes, to the last bit."""
        with open_result(str(self.folder / "results" / token)) as kept:
            for layer in exact.data_vars:
                np.testing.assert_array_equal(kept[layer], exact[layer])
        x, y = (float(exact[axis][len(exact[axis]) // 3]) for axis in ("x", "y"))
        lon, lat = Transformer.from_crs("EPSG:32613", "EPSG:4326", always_xy=True).transform(x, y)
        shown = self.ask(token, f"/value?lon={lon}&lat={lat}")["seasons"]
        here = exact.sel(x=x, y=y)
        assert [season["clear_count"] for season in shown] == here.clear_count.values.tolist()
        means = [np.nan if season["ndvi_mean"] is None else season["ndvi_mean"] for season in shown]
        np.testing.assert_array_equal(np.float32(means), here.ndvi_mean)

    def run_out(self) -> None:
        """Let every lease have run out."""
        engine = create_engine(self._url)
        with engine.begin() as connection:
            for table in (JOBS, CLUSTERS):
                long_ago = datetime.fromtimestamp(0, UTC)
                connection.execute(update(table).where(table.c.holder != "").values(lease_end=long_ago))
        engine.dispose()

    def names(self) -> list[str]:
        """Return the short names of the clusters in the list."""
        return sorted(row.name for row in self.store.clusters.list_clusters())


def eventually(true: Callable[[], Any], within_s: float = 60.0) -> float:
    """Wait for something, and return how many seconds that took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within_s, "it did not come"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def site(index_settings: Settings, catalog: OdcCatalog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with running_gateway(folder, IDLE_S, durable=True) as gateway:
        yield Site(folder=folder, gateway=gateway, home=index_settings.home, port=free_ports(1)[0])


@pytest.fixture(scope="module")
def exact(slow: NdviPlan) -> xr.Dataset:
    return compute_here(slow)


def test_the_next_server_goes_on_with_the_cluster_of_one_that_was_killed_and_stops_it_in_the_end(
    site: Site, slow: NdviPlan, exact: xr.Dataset
) -> None:
    with site.server() as first:
        token = site.acknowledge(slow)
        eventually(lambda: len(site.written(token)) >= 2)
        first.head.kill()
        first.head.wait()
    before, name = site.written(token), site.row(token).cluster_name
    assert site.names() == [name]
    site.run_out()
    with site.server():
        seen: set[str] = set()
        eventually(lambda: seen.update(site.names()) or site.is_done(token))
        assert seen == {name}
        assert site.row(token).cluster_name == name
        site.is_right(token, exact)
        eventually(lambda: not site.names())
        # It has been told to by then, and does it.
        eventually(lambda: not site.gateway.processes())
    after = site.written(token)
    assert {path: after[path] for path in before} == before


# Many times


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What became of a job in whose midst something was killed.

    Attributes
    ----------
    kept : int
        Blocks in the checkpoint when it was killed.
    again : int
        Of those, computed again.
    seconds : float
        From when all parts were back to the whole result at the same address.
    """

    kept: int
    again: int
    seconds: float


def recovery(
    site: Site, plan: NdviPlan, kill: Callable[[], None], back: Callable[[], None], chance: random.Random
) -> tuple[str, Recovery]:
    """Kill something at a random moment of a job, have it back some seconds later, and see what becomes of the job."""
    token, kept = site.acknowledge(plan), chance.randrange(len(plan.blocks) // 2)
    eventually(lambda: len(site.written(token)) >= kept, 120.0)
    time.sleep(chance.uniform(0.0, 0.5))
    kill()
    before = site.written(token)
    time.sleep(chance.uniform(0.0, 5.0))
    back()
    seconds = eventually(lambda: site.is_done(token), 120.0)
    after = site.written(token)
    assert len(after) == len(plan.blocks)
    again = sum(after[path] != when for path, when in before.items())
    return token, Recovery(kept=len(before), again=again, seconds=seconds)


def kill_scheduler(site: Site) -> None:
    for process in site.gateway.processes():
        if "distributed.cli.dask_scheduler" in process.cmdline():
            process.kill()


@pytest.mark.soak
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("part", ["scheduler", "Gateway server", "Greenup server"])
def test_whatever_is_killed_at_a_random_moment_the_job_goes_on(
    site: Site, slow: NdviPlan, exact: xr.Dataset, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[Recovery] = []
    chance = random.Random(f"{SEED} {part}")
    with ExitStack() as stack:
        servers = [stack.enter_context(site.server())]

        def kill_server() -> None:
            servers[-1].head.kill()
            servers[-1].head.wait()

        acts: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "scheduler": (lambda: kill_scheduler(site), lambda: None),
            "Gateway server": (site.gateway.kill, site.gateway.start),
            "Greenup server": (kill_server, lambda: servers.append(stack.enter_context(site.server()))),
        }
        for _ in range(KILLS):
            token, recovered = recovery(site, slow, *acts[part], chance)
            site.is_right(token, exact)
            found.append(recovered)
            with capsys.disabled():
                line = f"{part:14} {recovered.kept:2} kept, {recovered.again:2} again, {recovered.seconds:5.1f} s"
                print(f"\n{line}", end="", flush=True)
        assert not any(killed.survivors(20.0) for killed in servers if killed.head.poll() is not None)
        eventually(lambda: not site.names(), 60.0)
        eventually(lambda: not site.gateway.processes(), IDLE_S)
    assert not any(each.again for each in found)
    assert max(each.seconds for each in found) < 60.0
