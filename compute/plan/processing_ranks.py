"""Ranks of processings, and normalised spellings of platform, region and maturity."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from compute.scenes import Scene

MATURITIES = ("nrt", "interim", "final")
"""Values of ``dea:dataset_maturity`` in ascending order: near real time, interim, final."""

_SPELLINGS = {
    "nrt": "nrt",
    "nearrealtime": "nrt",
    "realtime": "nrt",
    "rt": "nrt",
    "interim": "interim",
    "intermediate": "interim",
    "provisional": "interim",
    "preliminary": "interim",
    "final": "final",
    "definitive": "final",
    "consolidated": "final",
    "standard": "final",
}
"""Maturity by the words that operators use for it, in lower case without separators."""

_RANKS = {"nrt": 0, "interim": 2, "final": 3}
_UNKNOWN_RANK = 1
"""Rank of scenes with no or an unknown maturity: above near real time and below interim."""

_NEVER = datetime.min.replace(tzinfo=UTC)
_BASELINE = re.compile(r"_N(\d{2})(\d{2})_")
"""Pattern of the processing baseline in the name of a Sentinel-2 product."""

Rank = tuple[bool, int, tuple[int, ...], datetime, str]


def platform_of(scene: Scene) -> str:
    """Return the platform of a scene in STAC's spelling, lower case with hyphens; empty if it is not stated."""
    return _spell_platform(scene.platform)


@lru_cache(1024)
def _spell_platform(platform: str) -> str:
    return re.sub(r"[\s_]+", "-", platform.strip().lower())


def region_of(scene: Scene) -> str:
    """Return the region code of a scene without separators, leading zeros and the T of tile names."""
    return _spell_region(scene.region_code)


@lru_cache(16_384)
def _spell_region(code: str) -> str:
    letters = re.sub(r"[\W_]+", "", code).upper()
    return re.sub(r"^T(?=\d)", "", letters).lstrip("0")


def maturity_of(scene: Scene) -> str | None:
    """Return the maturity of a scene, one of `MATURITIES`; None if it is not stated or unknown."""
    return _SPELLINGS.get(re.sub(r"[\W_]+", "", scene.maturity).lower())


def baseline_of(scene: Scene) -> tuple[int, ...]:
    """Return the processing baseline of a scene as numbers, from its properties or product name; empty if unknown."""
    named = dict(sorted((name.rpartition(":")[2], value) for name, value in scene.properties.items()))
    if "processing_baseline" in named:
        return tuple(int(number) for number in re.findall(r"\d+", str(named["processing_baseline"])))
    for name in ("product_uri", "product_id", "label"):
        if found := _BASELINE.search(str(named.get(name, ""))):
            return int(found[1]), int(found[2])
    return ()


def rank(scene: Scene) -> Rank:
    """Return a sort key that is greater for the better of two processings."""
    maturity, baseline, processed = maturity_of(scene), baseline_of(scene), scene.processed or _NEVER
    states = bool(scene.maturity or baseline or scene.processed)
    return states, _RANKS.get(maturity or "", _UNKNOWN_RANK), baseline, processed, scene.id
