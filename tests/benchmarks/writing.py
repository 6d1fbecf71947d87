"""Writing of the input: cloud-optimised GeoTIFFs and an EO3 document for every scene."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from numpy.typing import NDArray
from rasterio.enums import Resampling

from compute.demo.eo3_documents import scene_document
from compute.demo.scene_writing import write_cog
from compute.demo.sensor import NODATA, OUTSIDE, VALID
from compute.errors import InputError
from tests.benchmarks.input import BANDS, InputScene, InputSpec, list_input_scenes
from tests.benchmarks.pixels import Land, ScenePixels, Weather, draw_land, draw_scene, draw_weather

_MARKER = "input.json"

Progress = Callable[[int, int], None]


def write_input(root: Path, spec: InputSpec, progress: Progress) -> list[list[InputScene]]:
    """Write the scenes to a folder, unless they exist.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the scenes, created if missing.
    spec : InputSpec
        Specification of the input.
    progress : callable
        Called with (written dates, all dates).

    Returns
    -------
    list of list of InputScene
        Scenes as `list_input_scenes` returns them.

    Raises
    ------
    InputError
        The disk has too little free space.
    OSError
        The folder cannot be written.
    """
    scenes = list_input_scenes(root, spec)
    if not (root / _MARKER).exists():
        root.mkdir(parents=True, exist_ok=True)
        _refuse_small_disk(root, spec)
        _write_dates(scenes, spec, progress)
        (root / _MARKER).write_text(json.dumps(asdict(spec)))
    return scenes


def _refuse_small_disk(root: Path, spec: InputSpec) -> None:
    needed, free = 6 * spec.dates * spec.size**2, shutil.disk_usage(root).free
    if free < needed:
        gib = needed / 2**30
        raise InputError("keep", f"The input needs {gib:.1f} GiB; name a folder with as much room, or fewer --dates.")


def _write_dates(scenes: Sequence[Sequence[InputScene]], spec: InputSpec, progress: Progress) -> None:
    """Write the dates in threads: drawing noise and compressing, which take most of the time, release the GIL."""
    window = spec.window
    land, swath = draw_land(window.shape, np.random.default_rng(spec.seed)), window.rasterise(spec.swath)
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        jobs = pool.map(lambda date_: _write_date(date_, spec, land, swath), scenes)
        for done, _ in enumerate(jobs, start=1):
            progress(done, len(scenes))
    finally:
        pool.shutdown(cancel_futures=True)


def _write_date(scenes: Sequence[InputScene], spec: InputSpec, land: Land, swath: NDArray[np.uint8]) -> None:
    day = scenes[0].acquisition.time.toordinal()
    weather = draw_weather(swath, spec.clear_share, spec.patch_px, np.random.default_rng([spec.seed, day]))
    for scene in scenes:
        rows = _rows_of(scene, spec)
        rng = np.random.default_rng([spec.seed, day, scene.acquisition.footprint.row])
        here = Land(green=land.green[rows], bright=land.bright[rows])
        above = Weather(veil=weather.veil[rows], limit=weather.limit)
        season = scene.acquisition.time.timetuple().tm_yday
        _write_scene(scene, draw_scene(here, above, swath[rows], season, spec.patch_px, rng), spec)


def _rows_of(scene: InputScene, spec: InputSpec) -> slice:
    first = scene.window.row - spec.window.row
    return slice(first, first + scene.window.shape[0])


def _write_scene(scene: InputScene, pixels: ScenePixels, spec: InputSpec) -> None:
    scene.folder.mkdir(exist_ok=True)
    files, window = scene.files, scene.window
    with rasterio.Env():
        write_cog(files["nbart_red"], pixels.red, window, NODATA, Resampling.average)
        write_cog(files["nbart_nir"], pixels.nir, window, NODATA, Resampling.average)
        write_cog(files["oa_fmask"], pixels.mask, window, OUTSIDE, Resampling.nearest)
    document = scene_document(scene.acquisition, pixels.mask, spec.demo)
    scene.document.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def describe_input(scenes: Sequence[Sequence[InputScene]], spec: InputSpec) -> dict[str, Any]:
    """Return the specification and statistics of the input, ready for JSON.

    `clear_share` is that of the first date. `packed_share` is the compressed size of the red band relative to its
    pixels. Decoded bytes exclude overviews.

    Parameters
    ----------
    scenes : sequence of sequence of InputScene
        Written scenes by date.
    spec : InputSpec
        Specification of the input.
    """
    every = [scene for date_ in scenes for scene in date_]
    packed = {band: sum(scene.files[band].stat().st_size for scene in every) for band in BANDS}
    pixels = sum(scene.window.shape[0] * scene.window.shape[1] for scene in every)
    return {
        "dates": spec.dates,
        "scenes": len(every),
        "date_px": [spec.size, spec.size],
        "scene_px": list(every[0].window.shape),
        "overlap_share": spec.overlap,
        "clear_share": _clear_share(scenes),
        "clear_patch_px": spec.patch_px,
        "seed": spec.seed,
        "bytes_on_disk": sum(packed.values()),
        "bytes_decoded": 5 * pixels,
        # Two bytes per pixel; overviews add a third.
        "packed_share": round(packed["nbart_red"] / (2 * pixels) * 0.75, 3),
    }


def _clear_share(scenes: Sequence[Sequence[InputScene]]) -> float:
    """Return the share of clear pixels of the first date."""
    clear = total = 0
    for scene in scenes[0]:
        with rasterio.open(scene.files["oa_fmask"]) as file:
            codes = file.read(1)
        clear, total = clear + int(np.count_nonzero(codes == VALID)), total + codes.size
    return round(clear / total, 3)
