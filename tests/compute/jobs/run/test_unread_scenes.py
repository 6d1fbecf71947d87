"""Scenes that cannot be read, as they are kept and told."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from compute.jobs.run.unread_scenes import failed_sentence
from compute.scenes import UnreadScene, unique_unread

pytestmark = pytest.mark.unit

RED = UnreadScene(scene="b", file="red.tif", reason="is damaged")
NIR = UnreadScene(scene="b", file="nir.tif", reason="does not exist")
OLD = UnreadScene(scene="a")


def test_records_and_the_ids_that_earlier_versions_kept_come_back() -> None:
    assert UnreadScene.kept(asdict(RED)) == RED
    assert UnreadScene.kept("a") == OLD


def test_a_scene_counts_once_however_many_of_its_files_cannot_be_read() -> None:
    assert unique_unread([RED, OLD, NIR, RED]) == [OLD, NIR]


def test_a_sentence_names_file_and_reason_of_the_first() -> None:
    plan: Any = SimpleNamespace(sources=[None] * 1200)
    assert failed_sentence([], plan) == ""
    assert failed_sentence([RED], plan) == (
        "1 of 1,200 scenes could not be read and is left out: red.tif of scene b is damaged."
    )
    assert failed_sentence([OLD, NIR, RED, RED, RED], plan) == (
        "5 of 1,200 scenes could not be read and are left out: scene a; nir.tif of scene b does not exist; "
        "red.tif of scene b is damaged; and 2 more."
    )
