"""Access to the files that documents name: places, hosts, formats, and blocks that unpack to too much."""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import psutil
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from compute.engine.raster_windows import ReadError, fetch_header, read_window
from compute.errors import InputError
from compute.files.access import Access, Permit
from compute.files.hosts import is_refused_host, parse_host
from compute.plan import NdviPlan, make_plan
from compute.request import NdviRequest
from compute.result.stack import build_stack
from compute.scenes import Band, Scene, UnreadScene
from compute.settings import Settings
from compute.settings.home import load_access_rules, record_data_root
from tests.fixtures.engine import compute_here
from tests.fixtures.files import region_of, write_scene
from tests.fixtures.web import open_web
from tests.strategies import request_of, roles_of, scene_of

HOME = "/data/scene"
STRICT = Access()

COMMANDS = ("GTIFF_DIR:1:/data/scene/a.tif", "file://GTIFF_DIR:1:/data/scene/a.tif", "scene/a.tif", "file://../a.tif")
"""Local addresses that do not begin with /: GDAL takes some of them for commands that open other files."""


@pytest.mark.parametrize("address", COMMANDS)
def test_a_local_address_begins_with_a_slash(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data" / "scene" / "a.tif")
    monkeypatch.chdir(tmp_path)
    for home in (HOME, "", str(tmp_path), "GTIFF_DIR:1:/data/scene", ".", "../../.."):
        for access in (STRICT, Access(roots=(str(tmp_path),), own_machine=True)):
            assert "does not begin with /" in access.explain_refusal(address, home)
            assert "does not begin with /" in access.explain_resolved_refusal(address, home)
            assert "does not begin with /" in reason(address, access, home)


@pytest.mark.parametrize("home", [".", "../../..", "GTIFF_DIR:1:/etc"])
def test_a_folder_that_is_relative_holds_nothing(home: str) -> None:
    assert "outside of the folder of its document" in STRICT.explain_resolved_refusal("file:///etc/hostname", home)


LOCAL_HOSTS = (
    *(
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "2130706433",
        "0",
        "0.0.0.0",
        "127.0.0.1.",
    ),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]"),
    *("169.254.169.254", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "100.100.100.200", "255.255.255.255"),
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "metadata.google.internal"),
    *("１２７.0.0.1", "127。0。0。1", "ⓛocalhost"),
)
PUBLIC_HOSTS = ("data.example", "10.0.0.7", "192.168.1.2", "172.16.0.1", "[fd12::1]", "8.8.8.8", "[2606:4700::1111]")


def read(address: str | Path, access: Access = STRICT, home: str | Path = "", **fields: Any) -> np.ndarray[Any, Any]:
    """Read a file from its first pixel to its last, as a worker does."""
    band = Band(
        **{"uri": str(address), "index": 1, "grid": scene_of("a", size=SIZE).source.bands["red"].grid, **fields}
    )
    return read_window(band, (0, 0, *band.grid.shape), Permit(access=access, home=str(home))).values


def reason(address: str | Path, access: Access = STRICT, home: str | Path = "", **fields: Any) -> str:
    with pytest.raises(ReadError) as refusal:
        read(address, access, home, **fields)
    return str(refusal.value)


SIZE = 64


def write(path: Path, size: int = SIZE, value: int = 1, **profile: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": 1,
        "dtype": "uint8",
        "crs": "EPSG:32655",
        **profile,
    }
    profile["transform"] = Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 6_000_000.0)
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.full((profile["count"], size, size), value, profile["dtype"]))
    return path


class TestPlaces:
    @pytest.mark.parametrize(
        "address",
        [
            "file:///data/scene/red.tif",
            "/data/scene/deep/red%20B4.tif",
            "file:///data/scene/./a/../red.tif",
            "s3://bucket/a/red.tif",
            "/vsis3/bucket.with.dots/red.tif",
            "gs://a_b/red?#.tif",
            "az://$web/red.tif",
            "/vsiaz/container/red.tif",
            "https://data.example/red?sig=a%2Bb",
            "https://user:secret@data.example:8443/red.tif#x",
            "/vsicurl/https://data.example/red",
            "ftp://data.example/red.tif",
        ],
    )
    def test_what_people_have_is_read(self, address: str) -> None:
        assert STRICT.explain_refusal(address, HOME) == ""

    @pytest.mark.parametrize(
        "address",
        [
            "file:///etc/passwd",
            "/etc/passwd",
            "file:////etc/passwd",
            "file:///data/scenes/red.tif",
            "file:///data/scene/../other/red.tif",
            "file:///data/scene/%2e%2e/other/red.tif",
            "file://localhost/etc/passwd",
            "/proc/self/environ",
        ],
    )
    def test_other_local_files_are_not(self, address: str) -> None:
        refusal = STRICT.explain_refusal(address, HOME)
        assert "outside of the folder of its document" in refusal
        assert "GREENUP_DATA_ROOTS" in refusal
        assert STRICT.explain_refusal(address, "")

    @given(st.lists(st.sampled_from(["..", ".", "", "a", "scene", "data", "%2e%2e"]), min_size=1, max_size=9))
    def test_no_path_leads_out_however_it_is_written(self, parts: list[str]) -> None:
        path = "/data/scene/" + "/".join(parts)
        inside = os.path.normpath(path).startswith("/data/scene/")
        assert (STRICT.explain_refusal(path, HOME) == "") == inside

    def test_no_link_leads_out(self, tmp_path: Path) -> None:
        home, secret = tmp_path / "scene", write(tmp_path / "secret" / "red.tif", value=77)
        write(home / "own.tif")
        (home / "link.tif").symlink_to(secret)
        (home / "folder").symlink_to(secret.parent)
        (home / "inner.tif").symlink_to(home / "own.tif")
        assert read(home / "inner.tif", home=home).max() == 1
        for name in ("link.tif", "folder/red.tif", "../secret/red.tif"):
            assert "outside of the folder" in reason(home / name, home=home)
            assert read(home / name, Access(roots=(str(secret.parent),)), home).max() == 77

    def test_a_folder_that_is_a_link_itself_is_one_folder(self, tmp_path: Path) -> None:
        write(tmp_path / "store" / "red.tif")
        (tmp_path / "scene").symlink_to(tmp_path / "store")
        assert read(tmp_path / "scene" / "red.tif", home=tmp_path / "scene").max() == 1

    @pytest.mark.parametrize(
        "address",
        [
            "/vsizip//data/scene/a.zip/red.tif",
            "zip+file:///data/scene/a.zip!red.tif",
            "tar+gzip+file:///data/scene/a.tgz!red.tif",
            "zip+https://data.example/a.zip!red.tif",
            "/vsitar//data/scene/a.tar/red.tif",
            "/vsigzip//data/scene/red.tif.gz",
            "/vsisubfile/0_100,/etc/passwd",
            "/vsicurl?url=http://data.example/red.tif",
            "/vsicurl?header_file=/etc/passwd&url=https://data.example/red.tif",
            "/vsimem/red.tif",
            "/vsistdin/",
            "/vsicached?file=/etc/passwd",
            "/vsisparse//data/scene/red.xml",
            "/vsicrypt/key=a,file=/etc/passwd",
            "/VSIMEM/red.tif",
            "/vsicurl/file:///etc/passwd",
            "file:///vsizip//data/scene/a.zip/red.tif",
        ],
    )
    def test_chains_of_gdal_are_for_operators(self, address: str) -> None:
        refusal = STRICT.explain_refusal(address, HOME)
        assert "which GREENUP_DATA_ROOTS does not list" in refusal
        assert "secret" not in refusal

    def test_archives_that_are_listed_lie_where_files_may(self) -> None:
        access = Access(roots=("/vsizip/", "/vsitar//archives/"))
        for address in (
            "/vsizip//data/scene/a.zip/r.tif",
            "zip+https://data.example/a.zip!r.tif",
            "/vsitar//archives/a/r",
        ):
            assert access.explain_refusal(address, HOME) == ""
        for address in (
            *("/vsizip//etc/a.zip/r.tif", "/vsizip/{/etc/a.zip}/r.tif", "zip+http://127.0.0.1/a.zip!r.tif"),
            *(
                "/vsizip//vsicurl/http://localhost/a.zip/r.tif",
                "/vsizip//vsitar//etc/a.tar/r",
                "/vsitar//data/scene/a.tar/r",
            ),
            *("/vsitar//archives/../etc/a.tar/r", "/vsizip//vsisubfile/0_1,/etc/passwd"),
        ):
            assert access.explain_refusal(address, HOME), address

    @pytest.mark.parametrize(
        "address",
        [
            *(
                "s3://127.0.0.1:80#/red.tif",
                "s3://2130706433:80#/red.tif",
                "/vsis3/a@127.0.0.1/red.tif",
                "s3://?/red.tif",
            ),
            *(
                "gs:///red.tif",
                "/vsigs/a%2fb/red.tif",
                "vrt://x",
                "netcdf://x",
                " http://127.0.0.1/red.tif",
                "hdfs://h/x",
            ),
        ],
    )
    def test_addresses_that_are_none(self, address: str) -> None:
        assert STRICT.explain_refusal(address, HOME).startswith("has an address")

    @given(st.text(max_size=40))
    def test_any_text_is_answered_in_words(self, text: str) -> None:
        for address in (text, f"http://{text}", f"/vsi{text}", f"s3://{text}", f"file://{text}"):
            refusal = Access(roots=("/vsizip/",)).explain_refusal(address, HOME)
            assert isinstance(refusal, str)
            assert not refusal.endswith(".")


class TestHosts:
    @pytest.mark.parametrize("host", LOCAL_HOSTS)
    def test_no_host_of_the_machine_itself(self, host: str) -> None:
        for address in (f"http://{host}/red.tif", f"https://user@{host}:8080?x", f"/vsicurl/http://{host}:1/red.tif"):
            refusal = STRICT.explain_refusal(address, HOME)
            assert "which is this machine, its link or a metadata service" in refusal, address
            assert "GREENUP_DATA_ROOTS" in refusal

    @pytest.mark.parametrize("host", PUBLIC_HOSTS)
    def test_other_hosts_private_ones_included(self, host: str) -> None:
        assert STRICT.explain_refusal(f"http://{host}:8080/red.tif", HOME) == ""

    @pytest.mark.parametrize(
        "authority",
        [
            "data.example\\@127.0.0.1",
            "data.example@x@127.0.0.1",
            "127.0.0.1%2f",
            "%31%32%37.0.0.1",
            "",
            "a b",
            "[::1",
            "@",
        ],
    )
    def test_what_readers_of_addresses_disagree_about(self, authority: str) -> None:
        assert (
            STRICT.explain_refusal(f"http://{authority}/red.tif", HOME) == "has an address whose host is no valid name"
        )

    @given(st.ip_addresses(v=4), st.sampled_from(["{0}", "{0:#x}", "0{0:o}"]))
    def test_a_number_is_an_address_however_it_is_written(self, number: ipaddress.IPv4Address, form: str) -> None:
        host = parse_host(f"http://{form.format(int(number))}/red.tif")
        assert host is not None
        assert is_refused_host(host) == is_refused_host(str(number))
        if number.is_loopback or number.is_link_local:
            assert is_refused_host(host)
            assert is_refused_host(f"::ffff:{number}")

    @given(st.text(max_size=30))
    def test_any_authority_is_read_or_refused(self, text: str) -> None:
        host = parse_host(f"http://{text}")
        assert host is None or not set(host) & set("@/?#\\% \t\n")

    def test_an_operator_lists_a_server_by_how_its_addresses_begin(self) -> None:
        access = Access(roots=("http://127.0.0.1:9000/bucket/", "https://Localhost"))
        for address in (
            "http://me:pw@127.0.0.1:9000/bucket/red.tif?sig=1",
            "https://localhost/x",
            "HTTP://127.0.0.1:9000/bucket/a",
        ):
            assert access.explain_refusal(address, HOME) == ""
        for address in (
            *("http://127.0.0.1:9001/bucket/a", "http://127.0.0.1:9000/bucketed/a", "https://localhost.localdomain/x"),
            *("http://127.0.0.1:9000/bucket/../a", "http://127.0.0.1:9000/bucket/%2e%2e/a", "https://localhost:1/x"),
        ):
            assert access.explain_refusal(address, HOME), address

    def test_a_worker_asks_where_a_name_leads(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = socket.getaddrinfo

        def resolve(host: str, *args: Any, **options: Any) -> Any:
            return real("127.0.0.1" if host == "innocent.example" else host, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        address = "http://innocent.example/red.tif"
        assert STRICT.explain_refusal(address, "") == ""
        assert "lies on innocent.example, which is this machine" in reason(address)

    def test_no_request_reaches_a_server_that_is_not_listed(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif")
        with open_web(tmp_path) as web:
            port = web.address.rpartition(":")[2]
            for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
                for address in (f"http://{host}:{port}/red.tif", f"/vsicurl/http://{host}:{port}/red.tif"):
                    assert "which is this machine" in reason(address)
            assert web.asked == []
            assert read(f"{web.address}/red.tif", Access(roots=(web.address,))).max() == 1


class TestWhatIsOpened:
    def test_pipes_devices_and_folders_are_never_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.tif")
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(tmp_path / "door.tif"))
            for name in ("pipe.tif", "door.tif"):
                assert reason(tmp_path / name, home=tmp_path) == "is no regular file"
        assert reason("/dev/zero", Access(roots=("/dev",))) == "is no regular file"
        (tmp_path / "folder.tif").mkdir()
        assert reason(tmp_path / "folder.tif", home=tmp_path) == "is a folder"

    def test_a_pipe_beside_a_file_is_not_waited_for(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif")
        for name in ("red.tif.aux.xml", "red.tif.ovr", "red.tif.msk", "red.aux", "red.tfw"):
            os.mkfifo(tmp_path / name)
        assert read(tmp_path / "red.tif", home=tmp_path).max() == 1

    @pytest.mark.parametrize("driver", ["VRT", "HFA", "ENVI", "PNG", "netCDF", "JP2OpenJPEG", "GTI"])
    def test_geotiff_alone_whatever_its_name(self, tmp_path: Path, driver: str) -> None:
        source = write(tmp_path / "red.tif", size=256)
        if driver == "GTI":
            (tmp_path / "other.tif").write_text(
                "<GDALTileIndexDataset><IndexDataset>x</IndexDataset></GDALTileIndexDataset>"
            )
        else:
            rasterio.shutil.copy(source, tmp_path / "other.tif", driver=driver)
        assert reason(tmp_path / "other.tif", home=tmp_path).startswith(
            "is no raster of a format that may be read (GTiff)"
        )
        assert "GREENUP_RASTER_DRIVERS" in reason(tmp_path / "other.tif", home=tmp_path)

    @pytest.mark.parametrize("kind", ["in the file", "beside the file", "an overview beside the file"])
    def test_a_geotiff_names_no_other_file_as_its_overviews(self, tmp_path: Path, kind: str) -> None:
        secret = write(tmp_path / "secret.tif", SIZE // 2, value=77)
        home = tmp_path / "scene"
        path = write(home / "red.tif")
        if kind == "in the file":
            with rasterio.open(path, "r+") as file:
                file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(secret))
        elif kind == "beside the file":
            (home / "red.tif.aux.xml").write_text(
                '<PAMDataset><Metadata domain="OVERVIEWS">'
                f'<MDI key="OVERVIEW_FILE">{secret}</MDI></Metadata></PAMDataset>'
            )
        else:
            rasterio.shutil.copy(secret, home / "red.tif.ovr", driver="VRT")
        grid = scene_of("a", size=SIZE // 2).source.bands["red"].grid
        coarse = {"grid": grid, "stored": (SIZE, SIZE)}
        if kind == "in the file":
            assert reason(path, home=home, **coarse) == "names another file as its overviews"
        else:
            assert read(path, home=home, **coarse).max() == 1


class TestBlocks:
    @pytest.mark.parametrize(
        "profile",
        [
            {"tiled": True, "blockxsize": 8192, "blockysize": 8192},
            {"tiled": True, "blockxsize": 2048, "blockysize": 2048, "count": 20, "interleave": "pixel"},
            {"tiled": True, "blockxsize": 4096, "blockysize": 4096, "dtype": "float64"},
        ],
    )
    def test_a_tile_that_unpacks_to_too_much_is_not_read(self, tmp_path: Path, profile: dict[str, Any]) -> None:
        path = write(tmp_path / "red.tif", compress="deflate", **profile)
        words = reason(path, Access(max_block_bytes=2**25), tmp_path)
        assert words.startswith("has tiles or strips of ")
        assert "more than 32 MiB (GREENUP_MAX_BLOCK_MIB)" in words
        assert read(path, Access(max_block_bytes=2**28), tmp_path).max() == 1

    def test_one_strip_is_a_block(self, tmp_path: Path) -> None:
        path = write(tmp_path / "red.tif", 2048, compress="deflate", blockysize=2048, dtype="uint16")
        grid = scene_of("a", size=2048).source.bands["red"].grid
        assert "has tiles or strips of 8 MiB, more than 2 MiB" in reason(
            path, Access(max_block_bytes=2**21), tmp_path, grid=grid
        )
        assert read(path, home=tmp_path, grid=grid).max() == 1

    def test_overviews_have_blocks_of_their_own(self, tmp_path: Path) -> None:
        path = write(tmp_path / "red.tif", tiled=True, blockxsize=16, blockysize=16, compress="deflate")
        with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE=4096), rasterio.open(path, "r+") as file:
            file.build_overviews([2])
        grid = scene_of("a", size=SIZE // 2).source.bands["red"].grid
        coarse, strict = {"grid": grid, "stored": (SIZE, SIZE)}, Access(max_block_bytes=2**22)
        assert "has tiles or strips of 16 MiB" in reason(path, strict, tmp_path, **coarse)
        assert read(path, strict, tmp_path).max() == 1
        assert read(path, home=tmp_path, **coarse).max() == 1

    def test_a_tiny_file_takes_no_memory(self, tmp_path: Path) -> None:
        path = write(tmp_path / "red.tif", 22_528, tiled=True, blockxsize=22_528, blockysize=22_528, compress="deflate")
        assert path.stat().st_size < 2**20
        grid = scene_of("a", size=22_528).source.bands["red"].grid
        band = Band(uri=str(path), index=1, grid=grid)
        before = psutil.Process().memory_info().rss
        for take in (lambda permit: read_window(band, (0, 0, 8, 8), permit), lambda permit: fetch_header(band, permit)):
            with pytest.raises((ReadError, OSError), match="has tiles or strips of 484 MiB, more than 64 MiB"):
                take(Permit(access=STRICT, home=str(tmp_path)))
        assert psutil.Process().memory_info().rss - before < 2**26


PIXELS = {
    "mask": np.ones((8, 8), np.uint8),
    "red": np.full((8, 8), 500, np.int16),
    "nir": np.full((8, 8), 1500, np.int16),
}


@pytest.fixture
def scenes(tmp_path: Path) -> list[Scene]:
    """Two scenes a month apart, each in a folder of its own."""
    made = []
    for name, day in (("good", "2020-01-05"), ("bad", "2020-01-21")):
        (tmp_path / name).mkdir()
        made.append(write_scene(scene_of(name, f"{day}T00:00:00", size=8), PIXELS, tmp_path / name))
    return made


def moved(scene: Scene, address: str) -> Scene:
    bands = dict(scene.source.bands)
    bands["nir"] = replace(bands["nir"], uri=address)
    return replace(scene, source=replace(scene.source, bands=bands))


def request_for(scenes: list[Scene], reader: str) -> NdviRequest:
    return request_of(region=region_of(scenes), crs="native", resampling="nearest", reader=reader)


class TestRequests:
    @pytest.mark.parametrize(
        ("address", "words"),
        [
            (
                "file:///etc/passwd",
                "passwd of scene bad lies outside of the folder of its document; if it may be read, ",
            ),
            (
                "http://me:secret@127.0.0.1:1/a.tif?sig=secret",
                "http://127.0.0.1:1/a.tif of scene bad lies on 127.0.0.1, ",
            ),
            ("/vsimem/a.tif", "a.tif of scene bad is read through /vsimem/, which GREENUP_DATA_ROOTS does not list."),
        ],
    )
    def test_a_plan_names_scene_address_and_remedy(self, scenes: list[Scene], address: str, words: str) -> None:
        asked = [scenes[0], moved(scenes[1], address)]
        with pytest.raises(InputError) as refusal:
            make_plan(request_for(scenes, "exact"), asked, {"landsat": roles_of()}, Settings())
        told = str(refusal.value)
        assert words in told
        assert told.count(". ") == 0
        assert "GREENUP_DATA_ROOTS" in told
        assert "secret" not in told
        assert "/etc" not in told

    @pytest.mark.parametrize("reader", ["exact", "odc"])
    @pytest.mark.parametrize("kind", ["link", "pipe", "vrt", "address", "tile"])
    def test_workers_leave_out_what_changed_since_the_plan(
        self, scenes: list[Scene], tmp_path: Path, reader: str, kind: str
    ) -> None:
        bad = scenes[1]
        plan = make_plan(request_for(scenes, reader), scenes, {"landsat": roles_of()}, Settings())
        path, secret = tmp_path / "bad" / "bad-nir.tif", write(tmp_path / "secret.tif", 8, dtype="int16")
        path.unlink()
        if kind == "link":
            path.symlink_to(secret)
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "vrt":
            rasterio.shutil.copy(secret, path, driver="VRT")
        elif kind == "tile":
            write(path, 8, dtype="int16", tiled=True, blockxsize=8192, blockysize=8192, compress="deflate")
        else:
            path.symlink_to(secret)
            plan = replace(plan, sources=(plan.sources[0], moved(bad, secret.as_uri()).source))
        if reader == "odc":
            with pytest.raises(Exception, match=r"(bad-nir|secret)\.tif of scene bad"):
                compute_here(plan)
            return
        result = compute_here(plan)
        assert result.clear_count.max() == 1
        (unread,) = _failed(plan)
        assert unread.scene == "bad"
        assert str(tmp_path) not in str(unread)

    @pytest.mark.parametrize("reader", ["exact", "odc"])
    def test_rules_travel_with_the_tasks(self, scenes: list[Scene], tmp_path: Path, reader: str) -> None:
        vrt = tmp_path / "elsewhere" / "red.vrt"
        vrt.parent.mkdir()
        rasterio.shutil.copy(tmp_path / "bad" / "bad-nir.tif", vrt, driver="VRT")
        asked = [scenes[0], moved(scenes[1], vrt.as_uri())]
        settings = Settings(data_roots=str(vrt.parent), raster_drivers="GTiff, VRT", max_block_mib=3)
        plan = make_plan(request_for(scenes, reader), asked, {"landsat": roles_of()}, settings)
        assert compute_here(plan).clear_count.max() == 2
        tasks = [task.args[0] for task in build_stack(plan, "t").graph.values()]
        assert {task.access for task in tasks} == {settings.access}


def _failed(plan: NdviPlan) -> set[UnreadScene]:
    (stack,) = dask.compute(build_stack(plan, "test"), scheduler="synchronous")
    return {each for block in stack.graph.values() for each in block.failed}


class TestFoldersThatWereAdded:
    def test_files_may_lie_anywhere_below_them(self, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path / "home")
        (tmp_path / "added" / "a").mkdir(parents=True)
        home, file = str(tmp_path / "added" / "a"), str(tmp_path / "added" / "b" / "red.tif")
        assert load_access_rules(settings).explain_refusal(file, home)
        record_data_root(settings, tmp_path / "added")
        record_data_root(settings, tmp_path / "added")
        assert load_access_rules(settings).roots == (str(tmp_path / "added"),)
        assert not load_access_rules(settings).explain_refusal(file, home)
        assert load_access_rules(settings).explain_refusal(str(tmp_path / "added" / ".." / "red.tif"), home)

    def test_the_whole_file_system_is_not_noted(self, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path)
        (tmp_path / "link").symlink_to("/")
        for folder in ("/", "/..", "//", "/usr/..", tmp_path / "link"):
            record_data_root(settings, Path(folder))
        assert load_access_rules(settings) == settings.access

    def test_a_home_that_cannot_be_written_notes_none(self) -> None:
        record_data_root(settings := Settings(home=Path("/dev/null/home")), Path("/data"))
        assert load_access_rules(settings) == settings.access


class TestOwnMachine:
    OWN = Access(own_machine=True)

    @pytest.mark.parametrize("host", ["127.0.0.1:8765", "127.1", "localhost:80", "[::1]", "a.localhost"])
    def test_its_servers_are_read_where_that_is_allowed(self, host: str) -> None:
        address = f"http://{host}/red.tif"
        assert STRICT.explain_refusal(address, "")
        assert not self.OWN.explain_refusal(address, "")
        assert not self.OWN.explain_resolved_refusal(address, "")

    @pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "metadata", "0.0.0.0", "100.100.100.200"])
    def test_its_link_and_metadata_services_are_not(self, host: str) -> None:
        assert self.OWN.explain_refusal(f"http://{host}/red.tif", "")


class TestSettings:
    def test_lists_are_split_at_commas(self) -> None:
        access = Settings(data_roots=" /data , http://h:1/a ,, /vsizip/", raster_drivers="GTiff, VRT").access
        assert access.roots == ("/data", "http://h:1/a", "/vsizip/")
        assert access.drivers == ("GTiff", "VRT")
        assert Settings().access == replace(STRICT, drivers=("GTiff", "JP2OpenJPEG", "JP2KAK", "ENVI"))
        assert Settings(own_machine=True).access.own_machine

    @pytest.mark.parametrize("roots", ["data", "/data, other", "http://", "C:/data"])
    def test_a_root_is_absolute(self, roots: str) -> None:
        with pytest.raises(ValueError, match="neither an absolute folder nor the beginning of a URL"):
            Settings(data_roots=roots)
