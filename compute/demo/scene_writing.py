"""Writing of demo scenes in parallel; each scene is written atomically, and each set only once."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.shutil import copy

from compute.demo.demo_spec import DemoSpec
from compute.demo.eo3_documents import PRODUCT, measurement_paths, scene_document
from compute.demo.landscape import Landscape, survey_window
from compute.demo.overpasses import Acquisition, Footprint, find_footprints, list_acquisitions
from compute.demo.pixel_lattice import CRS, LatticeWindow
from compute.demo.sensor import NODATA, OUTSIDE, simulate_scene

TILE = 512
_MARKER = "complete"
_PARTIAL = "partial"
_POLL_S = 0.5

# The dumper of libyaml is ten times as fast; it is missing if PyYAML was built without libyaml.
_Dumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

Progress = Callable[[int, int], None]


def write_scenes(
    root: Path, spec: DemoSpec | None = None, *, processes: int | None = None, progress: Progress | None = None
) -> list[Path]:
    """Write a set of demo scenes to a folder, unless it exists.

    Each set has its own subfolder, named after its specification. Each scene is moved there once it is complete, so
    that another call can finish an interrupted set; a marker file records that the set is complete. Before scenes are
    written, sets of other specifications in the same root are deleted.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the demo; created if missing.
    spec : DemoSpec, optional
        Specification of the scene set. Default: `DemoSpec()`.
    processes : int, optional
        Number of processes, on which the pixels do not depend. Default: the number of available CPUs.
    progress : callable, optional
        Called with the number of written scenes and the total number, periodically and at the end.

    Returns
    -------
    list of pathlib.Path
        Paths of the EO3 documents, sorted.

    Raises
    ------
    OSError
        The folder cannot be written or the disk is full.
    """
    spec = spec or DemoSpec()
    folder = root / f"scenes-{spec.digest}"
    root.mkdir(parents=True, exist_ok=True)
    with _hold_lock(root):
        if not (folder / _MARKER).exists():
            _delete_other_sets(root, folder)
            folder.mkdir(exist_ok=True)
            _write_set(folder, spec, processes or len(os.sched_getaffinity(0)), progress)
            shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
            (folder / _MARKER).touch()
    return sorted(_list_documents(folder))


@contextmanager
def _hold_lock(root: Path) -> Iterator[None]:
    """Hold an exclusive file lock during the body, so that concurrent calls wait until the set is written."""
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _delete_other_sets(root: Path, folder: Path) -> None:
    for other in root.glob("scenes-*"):
        if other != folder:
            shutil.rmtree(other)


def _list_documents(folder: Path) -> Iterator[Path]:
    return (folder / PRODUCT).rglob("*.odc-metadata.yaml")


def _write_set(folder: Path, spec: DemoSpec, processes: int, progress: Progress | None) -> None:
    # Largest first, so that all processes finish at about the same time.
    jobs = sorted(find_footprints(spec), key=lambda f: -f.outline.area)
    total = sum(1 for footprint in jobs for _ in list_acquisitions(footprint, spec))

    def report() -> None:
        if progress is not None:
            progress(sum(1 for _ in _list_documents(folder)), total)

    if processes == 1:
        for footprint in jobs:
            _write_footprint(folder, footprint, spec)
            report()
        return
    # Spawned, because forking a process with threads (of Dask or Panel) may deadlock.
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=get_context("spawn")) as pool:
        _await_footprints({pool.submit(_write_footprint, folder, footprint, spec) for footprint in jobs}, report)


def _await_footprints(pending: set[Future[None]], report: Callable[[], None]) -> None:
    """Report progress until all footprints are written; on the first error, cancel the others and raise it."""
    while pending:
        done, pending = wait(pending, timeout=_POLL_S, return_when=FIRST_EXCEPTION)
        report()
        failure = next((error for future in done if (error := future.exception())), None)
        if failure is not None:
            for future in pending:
                future.cancel()
            raise failure


def _write_footprint(folder: Path, footprint: Footprint, spec: DemoSpec) -> None:
    missing = [a for a in list_acquisitions(footprint, spec) if not _scene_folder(folder, a).exists()]
    if not missing:
        return
    swath = footprint.window.rasterise(footprint.outline)
    land = survey_window(footprint.window, spec.seed, swath)
    with rasterio.Env():
        for acquisition in missing:
            _write_scene(folder, acquisition, land, swath, spec)


def _scene_folder(folder: Path, acquisition: Acquisition) -> Path:
    """Return the folder of a scene, product/path/row/year/month/day as in Digital Earth Australia."""
    where = acquisition.footprint
    return folder / PRODUCT / f"{where.path:03d}" / f"{where.row:03d}" / f"{acquisition.time:%Y/%m/%d}"


def _write_scene(
    folder: Path, acquisition: Acquisition, land: Landscape, swath: NDArray[np.uint8], spec: DemoSpec
) -> None:
    partial = folder / _PARTIAL / f"{acquisition.label}-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    image, window = simulate_scene(acquisition, land, swath, spec), acquisition.footprint.window
    paths = measurement_paths(acquisition.label)
    write_cog(partial / paths["nbart_red"], image.red, window, NODATA, Resampling.average)
    write_cog(partial / paths["nbart_nir"], image.nir, window, NODATA, Resampling.average)
    write_cog(partial / paths["oa_fmask"], image.mask, window, OUTSIDE, Resampling.nearest)
    document = yaml.dump(scene_document(acquisition, image.mask, spec), Dumper=_Dumper, sort_keys=False)
    (partial / f"{acquisition.label}.odc-metadata.yaml").write_text(document, encoding="utf-8")
    home = _scene_folder(folder, acquisition)
    home.parent.mkdir(parents=True, exist_ok=True)
    partial.rename(home)


def write_cog(path: Path, pixels: NDArray[Any], window: LatticeWindow, nodata: int, resampling: Resampling) -> None:
    """Write one band as a sparse cloud-optimised GeoTIFF with 512 px tiles, fast DEFLATE compression and overviews.

    Parameters
    ----------
    path : pathlib.Path
        Path of the file.
    pixels : numpy.ndarray of int16 or uint8
        (rows, columns) values.
    window : LatticeWindow
        Position of the pixels.
    nodata : int
        Value outside the swath, which overview means do not include.
    resampling : rasterio.enums.Resampling
        Resampling of overviews: average for reflectance, nearest for classes.
    """
    rows, columns = pixels.shape
    profile = {"count": 1, "dtype": pixels.dtype, "crs": CRS, "transform": window.transform, "nodata": nodata}
    with rasterio.open("demo", "w+", driver="MEM", height=rows, width=columns, **profile) as memory:
        memory.write(pixels, 1)
        memory.build_overviews(_overview_factors(max(rows, columns)), resampling)
        copy(
            memory, path, driver="GTiff", copy_src_overviews=True, tiled=True, blockxsize=TILE, blockysize=TILE,
            compress="DEFLATE", zlevel=1, sparse_ok=True,
        )  # fmt: skip


def _overview_factors(edge: int) -> list[int]:
    """Return the overview factors 2, 4, 8, ... up to the first whose overview fits into one tile."""
    factors = [2]
    while edge / factors[-1] > TILE:
        factors.append(2 * factors[-1])
    return factors
