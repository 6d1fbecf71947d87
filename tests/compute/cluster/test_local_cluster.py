"""Clusters on this machine: what is asked for, what starts, what is told, and that nothing is left."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import dask
import psutil
import pytest
from dask_gateway.options import Options
from distributed import Scheduler, Worker
from distributed.versions import get_versions
from hypothesis import given
from hypothesis import strategies as st

from compute.cluster import ClusterSpec, Stage, open_cluster, parse_cluster
from compute.cluster.offered_options import apply_choices, apply_configured_defaults, describe_options
from compute.cluster.version_check import compare_versions
from compute.errors import ClusterError, InputError
from compute.settings import Settings

SETTINGS = Settings(_env_file=None, max_workers=8, cluster_start_timeout_s=30.0)
ORDER = ["connecting", "starting scheduler", "starting workers", "checking versions", "warming up", "ready"]


def worker_processes() -> list[psutil.Process]:
    """Worker processes below this one; multiprocessing's own helpers live as long as the interpreter."""
    below = psutil.Process().children(recursive=True)
    return [each for each in below if "spawn_main" in " ".join(each.cmdline())]


# What is asked for


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local", ClusterSpec(kind="local", workers=3)),
        (" gateway ", ClusterSpec(kind="gateway", workers=3)),
        ("gateway:ns.0a1b2c", ClusterSpec(kind="gateway", name="ns.0a1b2c", workers=3)),
        ("tcp://dask-scheduler:8786", ClusterSpec(kind="tcp", address="tcp://dask-scheduler:8786", workers=3)),
        ("tcp://[::1]:8786", ClusterSpec(kind="tcp", address="tcp://[::1]:8786", workers=3)),
    ],
)
def test_a_cluster_is_asked_for_in_one_of_four_forms(text: str, expected: ClusterSpec) -> None:
    assert parse_cluster(text, workers=3) == expected


@pytest.mark.parametrize(
    ("field", "text", "workers", "options"),
    [
        ("cluster", "", None, []),
        ("cluster", "Local", None, []),
        ("cluster", "gateway:", None, []),
        ("cluster", "gateway:../options", None, []),
        ("cluster", "gateway:name?wait", None, []),
        ("cluster", "tcp://", None, []),
        ("cluster", "tcp://host", None, []),
        ("cluster", "tcp://host:0", None, []),
        ("cluster", "tcp://host:99999", None, []),
        ("cluster", "tcp://host:12ab", None, []),
        ("cluster", "tcp://user@host:8786", None, []),
        ("cluster", "tcp://host:8786/path", None, []),
        ("cluster", "tcp://[::1:8786", None, []),
        ("cluster", "http://host:8786", None, []),
        ("workers", "local", 0, []),
        ("workers", "gateway", -1, []),
        ("cluster-option", "gateway", None, ["worker_cores"]),
        ("cluster-option", "gateway", None, ["=2"]),
        ("cluster-option", "gateway", None, ["a=1", "a=2"]),
        ("cluster-option", "local", None, ["a=1"]),
        ("cluster-option", "gateway:name", None, ["a=1"]),
    ],
)
def test_a_malformed_request_is_refused_by_its_field(
    field: str, text: str, workers: int | None, options: list[str]
) -> None:
    with pytest.raises(InputError) as refusal:
        parse_cluster(text, workers=workers, options=options)
    assert refusal.value.field == field
    assert str(refusal.value).endswith(".")


@given(st.text())
def test_any_text_is_either_a_cluster_or_refused(text: str) -> None:
    for form in (text, f"gateway:{text}", f"tcp://{text}"):
        try:
            spec = parse_cluster(form)
        except InputError:
            continue
        assert spec.kind in {"local", "gateway", "tcp"}


@given(st.text(min_size=1).filter(lambda key: "=" not in key and key.strip()), st.text())
def test_a_cluster_option_is_split_at_its_first_equals_sign(key: str, value: str) -> None:
    assert parse_cluster("gateway", options=[f"{key}={value}"]).options == {key.strip(): value.strip()}


def test_the_whole_name_of_a_gateway_cluster_is_not_shown() -> None:
    assert "0a1b2c" not in repr(parse_cluster("gateway:0a1b2c"))


# Cluster options, as a Gateway declares them

DECLARED = [
    ("threads", 1, {"type": "int", "min": 1, "max": 4}),
    ("memory", 2.0, {"type": "float", "min": 0.5}),
    ("image", "small", {"type": "select", "options": ["small", "large"]}),
    ("spot", False, {"type": "bool"}),
    ("tag", "", {"type": "string"}),
    ("environment", {}, {"type": "mapping"}),
]


def declared() -> Options:
    return Options._from_spec(
        [{"field": name, "label": name.title(), "default": value, "spec": spec} for name, value, spec in DECLARED]
    )


def test_cluster_options_are_read_by_their_declared_type() -> None:
    chosen = apply_choices(
        declared(),
        {"threads": "4", "memory": "3", "image": "large", "spot": "true", "tag": "1", "environment": '{"A": "b"}'},
    )
    assert dict(chosen) == {
        "threads": 4,
        "memory": 3.0,
        "image": "large",
        "spot": True,
        "tag": "1",
        "environment": {"A": "b"},
    }


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("thread", "1", "it has: threads, memory, image, spot, tag, environment."),
        ("threads", "5", "a whole number at least 1 and at most 4"),
        ("threads", "1.5", "a whole number"),
        ("memory", "nan", "a number at least 0.5"),
        ("memory", "inf", "a number at least 0.5"),
        ("image", "huge", "one of small, large"),
        ("spot", "maybe", "true or false"),
        ("environment", "[1]", "a JSON object"),
        ("environment", "{", "a JSON object"),
    ],
)
def test_a_cluster_option_that_the_gateway_lacks_or_does_not_take_is_refused_with_what_there_is(
    name: str, text: str, says: str
) -> None:
    with pytest.raises(InputError) as refusal:
        apply_choices(declared(), {name: text})
    assert refusal.value.field == "cluster-option"
    assert says in str(refusal.value)


def test_defaults_of_dask_s_configuration_are_used_or_refused() -> None:
    with dask.config.set({"gateway.cluster.options": {"image": "large"}}):
        assert apply_configured_defaults(declared())["image"] == "large"
    for wrong in ({"image": "huge"}, {"threads": "2"}, {"flavour": "x"}, {"image": "{NO_SUCH_VARIABLE}"}):
        with (
            dask.config.set({"gateway.cluster.options": wrong}),
            pytest.raises(ClusterError, match=r"correct gateway\.cluster\.options"),
        ):
            apply_configured_defaults(declared())


def test_cluster_options_are_described_for_a_form() -> None:
    by_name = {option.name: option for option in describe_options(declared())}
    assert (by_name["threads"].minimum, by_name["threads"].maximum) == (1, 4)
    assert by_name["image"].choices == ("small", "large")
    assert [option.kind for option in by_name.values()] == ["int", "float", "str", "bool", "str", "dict"]


# Versions


def seen(**changes: dict[str, str | None]) -> dict[str, object]:
    """What `get_versions` says of a scheduler and two workers, with some packages changed by side."""
    packages = get_versions(packages=["greenup", "numba", "odc-geo"])["packages"]
    sides = {side: {"packages": packages | changes.get(side, {})} for side in ("client", "scheduler", "w1", "w2")}
    return {"client": sides["client"], "scheduler": sides["scheduler"], "workers": {k: sides[k] for k in ("w1", "w2")}}


def test_the_same_software_everywhere_has_nothing_to_say() -> None:
    assert compare_versions(seen()) == ([], [])


@pytest.mark.parametrize("package", ["greenup", "python", "dask", "distributed", "cloudpickle", "numpy"])
@pytest.mark.parametrize("side", ["client", "scheduler", "w1", "w2"])
@pytest.mark.parametrize("version", ["0.0.9", None])
def test_another_version_of_what_decides_is_refused_wherever_it_is(
    package: str, side: str, version: str | None
) -> None:
    refusals, notes = compare_versions(seen(**{side: {package: version}}))
    assert len(refusals) == 1
    assert notes == []
    assert refusals[0].startswith(f"{package} is ")
    assert (version or "missing") in refusals[0]


def test_a_refusal_says_what_differs_where_and_both_versions() -> None:
    ours = str(get_versions(packages=["dask"])["packages"]["dask"])
    refusals, _ = compare_versions(seen(scheduler={"dask": "2024.1.0"}, w2={"dask": "2024.1.0"}))
    assert refusals == [f"dask is {ours} here but 2024.1.0 on the scheduler and 1 of 2 workers"]


def test_a_patch_release_or_another_package_is_noted_only() -> None:
    numpy = ".".join(str(get_versions()["packages"]["numpy"]).split(".")[:2]) + ".99"
    refusals, notes = compare_versions(seen(w1={"numpy": numpy, "numba": "0.1", "odc-geo": None}))
    assert refusals == []
    assert [note.split()[0] for note in notes] == ["numpy", "numba", "odc-geo"]


# Local clusters


def test_a_local_cluster_has_the_workers_asked_for_scales_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stages: list[Stage] = []

    def scratch() -> list[Path]:
        return list(tmp_path.glob("greenup-*"))

    async def scenario() -> None:
        warm_up = partial(importlib.import_module, "colorsys")
        spec = parse_cluster("local", workers=2)
        async with open_cluster(spec, SETTINGS, on_stage=stages.append, warm_up=warm_up) as cluster:
            assert (cluster.workers, len(worker_processes())) == (2, 2)
            assert cluster.threads >= 2
            assert 0 < cluster.memory_bytes <= psutil.virtual_memory().total
            assert cluster.version_notes == []
            assert await cluster.client.submit(sum, [1, 2]) == 3
            assert set((await cluster.client.run(lambda: "colorsys" in sys.modules)).values()) == {True}
            assert set((await cluster.client.run(os.getenv, "NUMBA_NUM_THREADS")).values()) == {"1"}
            assert all(address.startswith("tls://127.0.0.1:") for address in await cluster.client.run(os.getpid))
            assert len(scratch()) == 1
            assert await cluster.scale(3) == 3
            await cluster.wait_for_workers(3, timeout_s=20)
            assert cluster.workers == 3

    with dask.config.set({"temporary-directory": str(tmp_path)}):
        asyncio.run(scenario())
    assert worker_processes() == []
    assert scratch() == []
    names = [stage.name for stage in stages]
    assert names == sorted(names, key=ORDER.index)
    assert names[-1] == "ready"
    assert (stages[-1].done, stages[-1].total) == (2, 2)
    assert all(earlier.seconds <= later.seconds for earlier, later in pairwise(stages))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("threads", "text"), [(0, "local"), (-1, "local"), (257, "local"), (2, "gateway"), (2, "tcp://a:1")]
)
def test_threads_are_those_of_local_workers(threads: int, text: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_cluster(text, threads=threads)
    assert refusal.value.field == "threads"


def test_a_local_worker_has_the_threads_asked_for() -> None:
    async def scenario(spec: ClusterSpec) -> tuple[int, int]:
        async with open_cluster(spec, SETTINGS) as cluster:
            return cluster.workers, cluster.threads

    assert asyncio.run(scenario(parse_cluster("local", workers=1, threads=3))) == (1, 3)
    most = 2 * dask.system.CPU_COUNT
    assert asyncio.run(scenario(parse_cluster("local", threads=most))) == (1, most)
    assert parse_cluster("local", threads=3).identity != parse_cluster("local", threads=2).identity


def test_a_local_cluster_is_sized_to_the_machine_when_no_number_is_given() -> None:
    async def scenario() -> tuple[int, int]:
        async with open_cluster(ClusterSpec(kind="local"), SETTINGS) as cluster:
            return cluster.workers, cluster.threads

    workers, threads = asyncio.run(scenario())
    assert 1 <= workers <= threads == dask.system.CPU_COUNT


def test_more_workers_than_the_server_allows_are_refused_before_anything_starts() -> None:
    async def scenario() -> None:
        stages: list[Stage] = []
        with pytest.raises(InputError, match="At most 8 workers"):
            async with open_cluster(parse_cluster("local", workers=9), SETTINGS, on_stage=stages.append):
                pass
        assert stages == []
        async with open_cluster(parse_cluster("local", workers=1), SETTINGS) as cluster:
            for n in (0, 9):
                with pytest.raises(InputError, match=f"from 1 to 8, not {n}"):
                    await cluster.scale(n)
            with pytest.raises(ClusterError, match=r"1 of 2 workers were ready within 0\.3 s"):
                await cluster.wait_for_workers(2, timeout_s=0.3)

    asyncio.run(scenario())


def test_a_body_that_fails_leaves_no_process() -> None:
    async def scenario() -> None:
        async with open_cluster(parse_cluster("local", workers=1), SETTINGS):
            raise LookupError("of the body")

    with pytest.raises(LookupError, match="of the body"):
        asyncio.run(scenario())
    assert worker_processes() == []


@pytest.mark.parametrize("at", ["connecting", "starting workers", "checking versions", "ready"])
def test_being_cancelled_at_any_stage_leaves_no_process(at: str) -> None:
    async def scenario() -> None:
        task = asyncio.current_task()

        def cancel(stage: Stage) -> None:
            if stage.name == at and task is not None:
                task.cancel()

        async with open_cluster(parse_cluster("local", workers=1), SETTINGS, on_stage=cancel):
            await asyncio.sleep(60)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())
    assert worker_processes() == []


def test_an_engine_that_cannot_be_loaded_is_said_before_work_starts() -> None:
    async def scenario() -> None:
        warm_up = partial(importlib.import_module, "no_such_engine")
        async with open_cluster(parse_cluster("local", workers=1), SETTINGS, warm_up=warm_up):
            pass

    with pytest.raises(ClusterError, match=r"1 of 1 workers could not load the engine \(ModuleNotFoundError\)"):
        asyncio.run(scenario())


def test_a_killed_worker_comes_back_and_its_work_is_done_again() -> None:
    async def scenario() -> None:
        async with open_cluster(parse_cluster("local", workers=2), SETTINGS) as cluster:
            persisted = cluster.client.map(abs, range(-20, 0))
            await cluster.client.gather(persisted)
            os.kill(next(iter((await cluster.client.run(os.getpid)).values())), signal.SIGKILL)
            assert await cluster.client.submit(sum, persisted) == 210
            assert await cluster.client.gather(persisted) == list(range(20, 0, -1))
            await cluster.wait_for_workers(2, timeout_s=20)

    asyncio.run(scenario())
    assert worker_processes() == []


INTERRUPTED = """
import asyncio
from compute.cluster import open_cluster, parse_cluster
from compute.settings import Settings

async def main():
    async with open_cluster(parse_cluster("local", workers=2), Settings(_env_file=None)):
        print("ready", flush=True)
        await asyncio.sleep(60)

if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_control_c_ends_everything_quietly(tmp_path: Path) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd()), "TMPDIR": tempfile.gettempdir()},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        below = psutil.Process(process.pid).children(recursive=True)
        # As a terminal does it: to every process of the group at once.
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    _, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []


# Schedulers that run already


@contextmanager
def process_of(folder: Path, sitecustomize: str, *command: str) -> Iterator[None]:
    """A Python process whose interpreter runs `sitecustomize` first."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(sitecustomize)
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def worker_of(address: str, folder: Path, sitecustomize: str = "") -> AbstractContextManager[None]:
    command = ("distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard", "--nthreads", "1")
    return process_of(folder, sitecustomize, *command)


@contextmanager
def scheduler_process(folder: Path, sitecustomize: str) -> Iterator[str]:
    """The address of a scheduler in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen = ("--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0")
    with process_of(folder, sitecustomize, "distributed.cli.dask_scheduler", *listen):
        wait_for_listener(port)
        yield f"tcp://127.0.0.1:{port}"


def wait_for_listener(port: int) -> None:
    """Wait until a process that was started listens, however slow the machine is."""
    for _ in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)


ANOTHER_RELEASE = """
import importlib.metadata
real = importlib.metadata.version
importlib.metadata.version = lambda name: "0.0.9" if name == "greenup" else real(name)
"""

NOT_INSTALLED = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name == "compute":
            raise ModuleNotFoundError("No module named 'compute'", name=name)

sys.meta_path.insert(0, Without())
"""


def scheduler() -> Scheduler:
    return Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0")


def test_an_existing_scheduler_is_used_and_left_running(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scheduler() as existing:
            with worker_of(existing.address, tmp_path / "worker"):
                async with open_cluster(parse_cluster(existing.address, workers=1), SETTINGS) as cluster:
                    assert await cluster.client.submit(sum, [1, 2]) == 3
                    with pytest.raises(InputError, match="cannot be scaled from here"):
                        await cluster.scale(2)
                assert existing.status.name == "running"
                assert len(existing.workers) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sitecustomize", "says"),
    [
        (ANOTHER_RELEASE, r"greenup is .* here but 0\.0\.9 on 1 of 1 workers; use one environment"),
        (NOT_INSTALLED, "Greenup is not installed on 1 of 1 workers; use one environment"),
    ],
)
def test_a_worker_with_other_software_is_refused_in_one_sentence(tmp_path: Path, sitecustomize: str, says: str) -> None:
    async def scenario() -> None:
        async with scheduler() as existing:
            with worker_of(existing.address, tmp_path / "worker", sitecustomize):
                async with open_cluster(parse_cluster(existing.address), SETTINGS):
                    pass

    with pytest.raises(ClusterError, match=says):
        asyncio.run(scenario())


def test_a_scheduler_without_greenup_is_refused(tmp_path: Path) -> None:
    async def scenario(address: str) -> None:
        async with open_cluster(parse_cluster(address), SETTINGS):
            pass

    with (
        scheduler_process(tmp_path / "scheduler", NOT_INSTALLED) as address,
        worker_of(address, tmp_path / "worker"),
        pytest.raises(ClusterError, match="Greenup is not installed on the scheduler; use one environment"),
    ):
        asyncio.run(scenario(address))


def test_a_scheduler_without_workers_is_given_up_after_the_bound() -> None:
    async def scenario() -> None:
        async with scheduler() as existing:
            settings = SETTINGS.model_copy(update={"cluster_start_timeout_s": 1.0})
            async with open_cluster(parse_cluster(existing.address), settings):
                pass

    with pytest.raises(ClusterError, match="0 of 1 workers started within 1 s"):
        asyncio.run(scenario())


def test_work_may_start_with_the_workers_that_came_when_no_more_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compute.cluster.startup._GRACE_S", 0.5)
    stages: list[Stage] = []

    async def scenario() -> None:
        async with (
            scheduler() as existing,
            Worker(existing.address, nthreads=1, dashboard_address="127.0.0.1:0"),
            open_cluster(parse_cluster(existing.address, workers=2), SETTINGS, on_stage=stages.append) as cluster,
        ):
            assert cluster.workers == 1
            assert await cluster.client.submit(sum, [1, 2]) == 3

    asyncio.run(scenario())
    assert "1 of 2 workers are ready." in [stage.detail for stage in stages]


def test_a_scheduler_that_is_not_there_is_given_up_after_the_bound() -> None:
    async def scenario() -> None:
        settings = SETTINGS.model_copy(update={"cluster_start_timeout_s": 1.0})
        async with open_cluster(parse_cluster("tcp://127.0.0.1:9"), settings):
            pass

    began = time.monotonic()
    with pytest.raises(ClusterError, match="while it was connected to"):
        asyncio.run(scenario())
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_place_where_nothing_listens_is_given_up_in_seconds_and_a_scheduler_that_is_slow_is_not(host: str) -> None:
    async def connect_to(port: int, bound_s: float) -> None:
        settings = SETTINGS.model_copy(update={"cluster_start_timeout_s": bound_s})
        async with open_cluster(parse_cluster(f"tcp://{host}:{port}"), settings):
            pass

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def scenario() -> None:
        # Dask's own client would try for half a minute.
        async with asyncio.timeout(10):
            with pytest.raises(ClusterError, match=r"^The scheduler is gone; .* so open another\.$"):
                await connect_to(9, 60.0)
        async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
            with pytest.raises(ClusterError, match=r"^The scheduler did not answer within 3 s while it"):
                await connect_to(silent.sockets[0].getsockname()[1], 3.0)

    asyncio.run(scenario())


def test_a_scheduler_that_is_lost_is_said_within_the_bound() -> None:
    async def scenario() -> None:
        async with (
            scheduler() as existing,
            Worker(existing.address, nthreads=1, dashboard_address="127.0.0.1:0"),
            open_cluster(parse_cluster(existing.address), SETTINGS) as cluster,
        ):
            await existing.close()
            began = time.monotonic()
            with pytest.raises(ClusterError, match="while workers were waited for"):
                await cluster.wait_for_workers(1, timeout_s=0.5)
            assert time.monotonic() - began < 5

    asyncio.run(scenario())
