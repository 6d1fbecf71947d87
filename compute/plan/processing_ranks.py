"""Processing ranks: platform, region and processing of scenes in one spelling, and their order."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from compute.scenes import Scene

MATURITIES = ("nrt", "interim", "final")
"""``dea:dataset_maturity`` from near real time, with what was known of the atmosphere then, to what stays."""

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
"""By their letters alone, the words that operators use for a maturity."""

_RANKS = {"nrt": 0, "interim": 2, "final": 3}
_UNKNOWN_RANK = 1
"""No maturity, or a word that nobody knows: better than what is to be replaced, and no better than what says more."""

_NEVER = datetime.min.replace(tzinfo=UTC)
_BASELINE = re.compile(r"_N(\d{2})(\d{2})_")
"""Baseline in the name of a Sentinel-2 product."""

Rank = tuple[bool, int, tuple[int, ...], datetime, str]


def platform_of(scene: Scene) -> str:
    """Return the platform in the spelling of the EO extension: lower case, hyphens; empty where none is stated."""
    return _spell_platform(scene.platform)


@lru_cache(1024)
def _spell_platform(platform: str) -> str:
    return re.sub(r"[\s_]+", "-", platform.strip().lower())


def region_of(scene: Scene) -> str:
    """Return the region code without separators, leading zeros and the T before the name of a tile."""
    return _spell_region(scene.region_code)


@lru_cache(16_384)
def _spell_region(code: str) -> str:
    letters = re.sub(r"[\W_]+", "", code).upper()
    return re.sub(r"^T(?=\d)", "", letters).lstrip("0")


def maturity_of(scene: Scene) -> str | None:
    """Return which of `MATURITIES` a scene has, however it is spelled; None without one, or where nobody knows it."""
    return _SPELLINGS.get(re.sub(r"[\W_]+", "", scene.maturity).lower())


def baseline_of(scene: Scene) -> tuple[int, ...]:
    """Return the processing baseline as numbers, stated or in the name of the product; empty without one."""
    named = dict(sorted((name.rpartition(":")[2], value) for name, value in scene.properties.items()))
    if "processing_baseline" in named:
        return tuple(int(number) for number in re.findall(r"\d+", str(named["processing_baseline"])))
    for name in ("product_uri", "product_id", "label"):
        if found := _BASELINE.search(str(named.get(name, ""))):
            return int(found[1]), int(found[2])
    return ()


def rank(scene: Scene) -> Rank:
    """Return the key by which the better of two processings is the greater."""
    maturity, baseline, processed = maturity_of(scene), baseline_of(scene), scene.processed or _NEVER
    states = bool(scene.maturity or baseline or scene.processed)
    return states, _RANKS.get(maturity or "", _UNKNOWN_RANK), baseline, processed, scene.id
