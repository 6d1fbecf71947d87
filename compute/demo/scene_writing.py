"""Writing a set of demo scenes once: in parallel, each scene whole or not at all, the set under a marker."""

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
from compute.demo.landscape import Landscape, survey
from compute.demo.overpasses import Acquisition, Footprint, acquisitions, footprints
from compute.demo.pixel_lattice import CRS, LatticeWindow
from compute.demo.sensor import NODATA, OUTSIDE, observe

TILE = 512
_MARKER = "complete"
_PARTIAL = "partial"
_POLL_S = 0.5

# The C dumper is ten times as fast, where PyYAML was built with it.
_Dumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

Progress = Callable[[int, int], None]


def write_scenes(
    root: Path, spec: DemoSpec | None = None, *, processes: int | None = None, progress: Progress | None = None
) -> list[Path]:
    """Write the demo scenes below a folder, unless they are there already.

    The set lies in a folder of its own, named after the specification. A scene appears there only when it is whole,
    so an interrupted call is finished by the next one, and a marker file says that all of them are there. Sets of
    other specifications below the same root are deleted first.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the demo; made when missing.
    spec : DemoSpec, optional
        What to write; the default set when left out.
    processes : int, optional
        Processes that share the work, as many as there are CPUs when left out. The pixels do not depend on it.
    progress : callable, optional
        Called with (scenes written, scenes in all), now and then and at the end.

    Returns
    -------
    list of pathlib.Path
        The EO3 documents, sorted.

    Raises
    ------
    OSError
        The folder cannot be written or the disk is full.
    """
    spec = spec or DemoSpec()
    folder = root / f"scenes-{spec.digest}"
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root):
        if not (folder / _MARKER).exists():
            _drop_other_sets(root, folder)
            folder.mkdir(exist_ok=True)
            _write_set(folder, spec, processes or len(os.sched_getaffinity(0)), progress)
            shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
            (folder / _MARKER).touch()
    return sorted(_documents(folder))


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep a second call waiting, in this process or another, until the first has written the set."""
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _drop_other_sets(root: Path, folder: Path) -> None:
    for other in root.glob("scenes-*"):
        if other != folder:
            shutil.rmtree(other)


def _documents(folder: Path) -> Iterator[Path]:
    return (folder / PRODUCT).rglob("*.odc-metadata.yaml")


def _write_set(folder: Path, spec: DemoSpec, processes: int, progress: Progress | None) -> None:
    # The largest first, so that no process is left with a large one at the end.
    jobs = sorted(footprints(spec), key=lambda f: -f.outline.area)
    total = sum(1 for footprint in jobs for _ in acquisitions(footprint, spec))

    def report() -> None:
        if progress is not None:
            progress(sum(1 for _ in _documents(folder)), total)

    if processes == 1:
        for footprint in jobs:
            _write_footprint(folder, footprint, spec)
            report()
        return
    # Spawned, because a fork of a process with threads (Dask, Panel) may hang.
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=get_context("spawn")) as pool:
        _follow({pool.submit(_write_footprint, folder, footprint, spec) for footprint in jobs}, report)


def _follow(pending: set[Future[None]], report: Callable[[], None]) -> None:
    """Report until all is done; the first failure cancels what has not begun, and is raised."""
    while pending:
        done, pending = wait(pending, timeout=_POLL_S, return_when=FIRST_EXCEPTION)
        report()
        failure = next((error for future in done if (error := future.exception())), None)
        if failure is not None:
            for future in pending:
                future.cancel()
            raise failure


def _write_footprint(folder: Path, footprint: Footprint, spec: DemoSpec) -> None:
    missing = [a for a in acquisitions(footprint, spec) if not _home(folder, a).exists()]
    if not missing:
        return
    swath = footprint.window.burn(footprint.outline)
    land = survey(footprint.window, spec.seed, swath)
    with rasterio.Env():
        for acquisition in missing:
            _write_scene(folder, acquisition, land, swath, spec)


def _home(folder: Path, acquisition: Acquisition) -> Path:
    """Return the folder of a scene: product/path/row/year/month/day, as Digital Earth Australia keeps them."""
    where = acquisition.footprint
    return folder / PRODUCT / f"{where.path:03d}" / f"{where.row:03d}" / f"{acquisition.time:%Y/%m/%d}"


def _write_scene(
    folder: Path, acquisition: Acquisition, land: Landscape, swath: NDArray[np.uint8], spec: DemoSpec
) -> None:
    partial = folder / _PARTIAL / f"{acquisition.label}-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    image, window = observe(acquisition, land, swath, spec), acquisition.footprint.window
    paths = measurement_paths(acquisition.label)
    write_cog(partial / paths["nbart_red"], image.red, window, NODATA, Resampling.average)
    write_cog(partial / paths["nbart_nir"], image.nir, window, NODATA, Resampling.average)
    write_cog(partial / paths["oa_fmask"], image.mask, window, OUTSIDE, Resampling.nearest)
    document = yaml.dump(scene_document(acquisition, image.mask, spec), Dumper=_Dumper, sort_keys=False)
    (partial / f"{acquisition.label}.odc-metadata.yaml").write_text(document, encoding="utf-8")
    home = _home(folder, acquisition)
    home.parent.mkdir(parents=True, exist_ok=True)
    partial.rename(home)


def write_cog(path: Path, pixels: NDArray[Any], window: LatticeWindow, nodata: int, resampling: Resampling) -> None:
    """Write one band as a cloud-optimised GeoTIFF: tiles of 512, fast deflate, overviews, empty tiles left out.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    pixels : numpy.ndarray of int16 or uint8
        (rows, columns).
    window : LatticeWindow
        Where they lie.
    nodata : int
        Value outside the swath; overviews leave it out of their means.
    resampling : rasterio.enums.Resampling
        How overviews are made: average for reflectance, nearest for classes.
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
    """Return 2, 4, 8 ... until an overview fits into one tile; at least one."""
    factors = [2]
    while edge / factors[-1] > TILE:
        factors.append(2 * factors[-1])
    return factors
