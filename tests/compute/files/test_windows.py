"""Windows of the files of scenes: stored types, tags, names, formats and addresses."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from compute.engine.raster_windows import ReadError, StoredWindow, read_window, unread_scene
from compute.files.access import Access, Permit
from compute.files.addresses import join_path
from compute.scenes import Band, Grid, Source
from compute.settings import Settings
from tests.fixtures.web import Web, open_web

SHAPE = (2, 3)
WINDOW = (0, 0, *SHAPE)


GRID = Grid(crs="EPSG:32655", shape=SHAPE, transform=(30.0, 0.0, 600_000.0, 0.0, -30.0, 6_000_000.0))


def band_of(uri: str | Path, **changes: Any) -> Band:
    return Band(**{"uri": str(uri), "index": 1, "grid": GRID, **changes})


def write(path: Path, dtype: str, *, driver: str = "GTiff", count: int = 1, **profile: Any) -> np.ndarray[Any, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (np.arange(6).reshape(SHAPE) * 10).astype(dtype)
    rows, columns = SHAPE
    profile |= {"driver": driver, "width": columns, "height": rows, "count": count, "dtype": dtype}
    profile |= {"crs": GRID.crs, "transform": Affine(*GRID.transform)}
    with rasterio.open(path, "w", **profile) as file:
        for index in range(1, count + 1):
            file.write(values + index - 1, index)
    return values


ALL = ("GTiff", "JP2OpenJPEG", "ENVI", "netCDF", "HDF5", "HDF5Image")


def read(band: Band, *roots: str | Path, drivers: tuple[str, ...] = ("GTiff",)) -> StoredWindow:
    """Read all of a band, from the temporary folders of tests and where else it may lie."""
    access = Access(drivers=drivers, roots=(tempfile.gettempdir(), *map(str, roots)))
    return read_window(band, WINDOW, Permit(access=access, home=""))


def same(band: Band, values: np.ndarray[Any, Any], *roots: str | Path, drivers: tuple[str, ...] = ("GTiff",)) -> None:
    np.testing.assert_array_equal(read(band, *roots, drivers=drivers).values, values)


def reason_of(band: Band, *roots: str | Path, drivers: tuple[str, ...] = ("GTiff",)) -> str:
    with pytest.raises(ReadError) as refusal:
        read(band, *roots, drivers=drivers)
    return str(refusal.value)


class TestStoredValues:
    @pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
    def test_values_keep_the_type_of_their_file(self, tmp_path: Path, dtype: str) -> None:
        values = write(tmp_path / "red.tif", dtype)
        found = read(band_of(tmp_path / "red.tif")).values
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, values)

    def test_a_file_that_states_nothing(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "int16")
        stored = read(band_of(tmp_path / "red.tif"))
        assert (stored.nodata, stored.scale, stored.offset) == (None, None, None)

    def test_tags_of_the_band_that_is_read(self, tmp_path: Path) -> None:
        write(tmp_path / "all.tif", "uint16", count=2, nodata=0)
        with rasterio.open(tmp_path / "all.tif", "r+") as file:
            file.scales, file.offsets = (1.0, 0.0001), (0.0, -0.1)
        first, second = (read(band_of(tmp_path / "all.tif", index=index)) for index in (1, 2))
        assert (first.nodata, first.scale, first.offset) == (0, None, None)
        assert (second.nodata, second.scale, second.offset) == (0, 0.0001, -0.1)

    def test_nan_as_nodata(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "float32", nodata=float("nan"))
        assert np.isnan(read(band_of(tmp_path / "red.tif")).nodata)

    def test_tags_in_a_side_car_file(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "int16")
        (tmp_path / "red.tif.aux.xml").write_text(
            '<PAMDataset><PAMRasterBand band="1"><NoDataValue>20</NoDataValue><Scale>0.5</Scale></PAMRasterBand>'
            "</PAMDataset>"
        )
        stored = read(band_of(tmp_path / "red.tif"))
        assert (stored.nodata, stored.scale, stored.offset) == (20.0, 0.5, 0.0)


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "red#1.tif",
            "red%41.tif",
            "red?x=1.tif",
            "a b.tif",
            "rød 赤.tif",
            "50%.tif",
            "a&b;c=d,e.tif",
            "!'(x)[1]{2}.tif",
        ],
    )
    def test_every_legal_name_is_read(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / "scene #1 %41"
        values = write(folder / name, "int16")
        same(band_of(join_path((folder / "scene.yaml").as_uri(), name)), values)

    def test_a_name_that_is_percent_encoded_already(self, tmp_path: Path) -> None:
        values = write(tmp_path / "a b.tif", "int16")
        same(band_of(join_path((tmp_path / "scene.yaml").as_uri(), "a%20b.tif")), values)

    def test_paths_that_lead_elsewhere(self, tmp_path: Path) -> None:
        values = write(tmp_path / "there" / "red #1.tif", "int16")
        place = (tmp_path / "here" / "scene.yaml").as_uri()
        for path in (
            "../there/red #1.tif",
            str(tmp_path / "there" / "red #1.tif"),
            f"file://{tmp_path}/there/red #1.tif",
        ):
            same(band_of(join_path(place, path)), values)

    def test_files_in_an_archive(self, tmp_path: Path) -> None:
        values = write(tmp_path / "red #1.tif", "int16")
        with ZipFile(tmp_path / "a b#.zip", "w") as archive:
            archive.write(tmp_path / "red #1.tif", "x/red #1.tif")
        for address in (f"/vsizip/{tmp_path}/a b#.zip/x/red #1.tif", f"zip+file://{tmp_path}/a b#.zip!x/red #1.tif"):
            same(band_of(address), values, "/vsizip/")


class TestFormats:
    @pytest.mark.parametrize(("driver", "name"), [("ENVI", "red.img"), ("ENVI", "red"), ("ENVI", "red.tif.dat")])
    def test_rasters_whose_header_lies_beside(self, tmp_path: Path, driver: str, name: str) -> None:
        same(band_of(tmp_path / name), write(tmp_path / name, "int16", driver=driver), drivers=ALL)

    @pytest.mark.parametrize("ending", [".hdr", ".img.aux.xml", ".img.hdr"])
    def test_what_lies_beside_is_read_from_allowed_folders_and_is_no_pipe(self, tmp_path: Path, ending: str) -> None:
        here = tmp_path / "here"
        here.mkdir()
        write(here / "red.img", "int16", driver="ENVI")
        permit = Permit(access=Access(drivers=ALL), home=str(here))
        read_window(band_of(here / "red.img"), WINDOW, permit)
        beside = here / f"red{ending}"
        (tmp_path / "elsewhere").write_bytes(beside.read_bytes() if beside.exists() else b"ENVI")
        for make in (lambda: os.mkfifo(beside), lambda: beside.symlink_to(tmp_path / "elsewhere")):
            beside.unlink(missing_ok=True)
            make()
            with pytest.raises(ReadError, match=f"has a file red{ending} beside it that"):
                read_window(band_of(here / "red.img"), WINDOW, permit)

    def test_jpeg_2000(self, tmp_path: Path) -> None:
        same(
            band_of(tmp_path / "red.jp2"),
            write(tmp_path / "red.jp2", "uint16", driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE=True),
            drivers=ALL,
        )

    @pytest.mark.parametrize("kind", ["NC", "NC4"])
    def test_a_named_layer(self, tmp_path: Path, kind: str) -> None:
        values = write(tmp_path / "red.tif", "int16", nodata=-7)
        file = tmp_path / "all #1.nc"
        rasterio.shutil.copy(tmp_path / "red.tif", file, driver="netCDF", FORMAT=kind)
        band = band_of(file.as_uri(), index=0, layer="Band1")
        same(band, values, drivers=ALL)
        assert read(band, drivers=ALL).nodata == -7
        assert reason_of(band_of(file, index=0, layer="nir"), drivers=ALL) == "has no layer 'nir'"

    def test_a_layer_of_several_steps_needs_a_number(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "int16", count=2)
        file = tmp_path / "steps.nc"
        rasterio.shutil.copy(tmp_path / "red.tif", file, driver="netCDF")
        assert reason_of(band_of(file), drivers=ALL) == "has several layers, and its document names none"

    def test_a_virtual_raster_reads_no_other_file(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "int16")
        rasterio.shutil.copy(tmp_path / "red.tif", tmp_path / "red.vrt", driver="VRT")
        shutil.copy(tmp_path / "red.vrt", tmp_path / "vrt.tif")
        for name in ("red.vrt", "vrt.tif"):
            assert reason_of(band_of(tmp_path / name)).startswith("is no raster of a format that may be read (GTiff)")
        assert reason_of(band_of(f"vrt://{tmp_path}/red.tif")) == "has an address of an unsupported type (vrt://)"

    def test_an_operator_allows_other_formats(self, tmp_path: Path) -> None:
        values = write(tmp_path / "red.tif", "int16")
        rasterio.shutil.copy(tmp_path / "red.tif", tmp_path / "red.vrt", driver="VRT")
        same(band_of(tmp_path / "red.vrt"), values, drivers=Settings(raster_drivers="GTiff,VRT").access.drivers)


class TestReasons:
    def test_what_is_wrong_with_local_files(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "int16", compress="deflate")
        content = (tmp_path / "red.tif").read_bytes()
        (tmp_path / "empty.tif").touch()
        (tmp_path / "folder.tif").mkdir()
        (tmp_path / "page.tif").write_text("<html>not found</html>")
        (tmp_path / "cut.tif").write_bytes(content[:-8])
        reasons = {
            name: reason_of(band_of(tmp_path / f"{name}.tif")) for name in ("gone", "empty", "folder", "page", "cut")
        }
        assert reasons.pop("page").startswith("is no raster of a format that may be read")
        assert reasons == {"gone": "does not exist", "empty": "is empty", "folder": "is a folder", "cut": "is damaged"}

    def test_a_file_that_is_another_than_its_document_says(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "int16")
        larger = Grid(crs=GRID.crs, shape=(3, 4), transform=GRID.transform)
        band = band_of(tmp_path / "red.tif", grid=larger)
        assert reason_of(band) == "has 2 x 3 pixels where its document says 3 x 4"
        assert reason_of(band_of(tmp_path / "red.tif", index=4)) == "has 1 bands where its document says 4"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        write(tmp_path / "red.tif", "int16")
        (tmp_path / "red.tif").chmod(0)
        assert reason_of(band_of(tmp_path / "red.tif")) == "may not be read by the workers"

    def test_a_name_that_cannot_be_one(self, tmp_path: Path) -> None:
        assert reason_of(band_of(tmp_path / ("a" * 300))) == "does not exist"
        assert reason_of(band_of(f"{tmp_path}/a\0b.tif"))

    def test_a_scene_is_named_with_file_and_reason(self, tmp_path: Path) -> None:
        bands = {name: band_of((tmp_path / name / "data.tif").as_uri()) for name in ("red", "nir")}
        scene = Source(id="s", product="p", bands=bands)
        unread = unread_scene(scene, ReadError("does not exist", bands["red"]))
        assert str(unread) == "red/data.tif of scene s does not exist"


class TestWeb:
    @pytest.fixture
    def web(self, tmp_path: Path) -> Iterator[Web]:
        write(tmp_path / "red.tif", "int16")
        shutil.copy(tmp_path / "red.tif", tmp_path / "red")
        with open_web(tmp_path) as found:
            yield found

    def right(self, web: Web, path: str) -> None:
        same(band_of(f"{web.address}/{path}"), (np.arange(6).reshape(SHAPE) * 10), web.address)

    @pytest.mark.parametrize("name", ["red", "red.tif"])
    def test_a_name_with_and_without_extension_takes_two_requests(self, web: Web, name: str) -> None:
        self.right(web, name)
        assert web.asked == [("HEAD", name), ("GET", name)]

    def test_names_that_are_to_be_quoted(self, web: Web) -> None:
        shutil.copy(web.folder / "red.tif", web.folder / "a #1é.tif")
        same(
            band_of(join_path(f"{web.address}/scene.yaml", "a #1é.tif")), np.arange(6).reshape(SHAPE) * 10, web.address
        )

    def test_a_token_and_a_redirect(self, web: Web) -> None:
        web.query = "sig=secret%2B1"
        web.moved["old"] = "/red?sig=secret%2B1"
        self.right(web, "red?sig=secret%2B1")
        self.right(web, "old")

    def test_a_server_that_answers_only_to_get(self, web: Web) -> None:
        web.head = False
        self.right(web, "red.tif")

    @pytest.mark.parametrize(("code", "times"), [(503, 1), (429, 2), (503, 4)])
    def test_a_server_that_is_busy_is_asked_again(self, web: Web, code: int, times: int) -> None:
        web.refusals["red.tif"] = (code, times)
        self.right(web, "red.tif")

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            (403, "cannot be read: the server answered 403"),
            (404, "does not exist (the server answered 404)"),
            (500, "cannot be read: the server answered 500"),
        ],
    )
    def test_what_servers_refuse(self, web: Web, code: int, reason: str) -> None:
        web.refusals["red.tif"] = (code, 1000)
        assert reason_of(band_of(f"{web.address}/red.tif?sig=secret"), web.address) == reason
        assert code != 404 or len(web.asked) == 1

    def test_a_server_that_is_not_there(self) -> None:
        gone = "http://127.0.0.1:9"
        assert reason_of(band_of(f"{gone}/red.tif"), gone) == "lies on a server that cannot be reached"

    def test_the_log_has_no_secret(self, web: Web, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            reason_of(band_of(f"{web.address.replace('//', '//user:secret@')}/gone.tif?sig=secret"), web.address)
        assert "secret" not in caplog.text


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The folder by HTTP, from another process: rasterio holds Python's lock while GDAL looks for side-car files."""
    words = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().split()[5]}"
        server.terminate()


def test_rasters_of_other_formats_by_http(tmp_path: Path, served: str) -> None:
    values = write(tmp_path / "red.img", "int16", driver="ENVI")
    same(band_of(f"{served}/red.img"), values, served, drivers=ALL)
    write(tmp_path / "red.tif", "int16")
    rasterio.shutil.copy(tmp_path / "red.tif", tmp_path / "red.nc", driver="netCDF")
    same(band_of(f"{served}/red.nc", index=0, layer="Band1"), values, served, drivers=ALL)
