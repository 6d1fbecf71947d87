"""Addresses of files: joined to those of documents, and cleaned for people."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from datacube.utils.uris import uri_resolve
from hypothesis import given
from hypothesis import strategies as st

from compute.files.addresses import (
    clean_address,
    existing_path,
    gdal_name,
    is_local,
    join_path,
    local_path,
    relative_name,
)

pytestmark = pytest.mark.unit

PLACES = [
    "file:///data/a%20b/scene.yaml",
    "https://host/a/scene.yaml?key=1",
    "s3://bucket/a/scene.yaml",
    "gs://b/s.yaml",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "path",
    [
        *[None, "", "red.tif", "b/red.tif", "../red.tif", "./red.tif", "/abs/red.tif", "s3://x/red.tif"],
        *["/vsizip/a.zip/red.tif", "https://h/red.tif?sig=1", "zip+file:///a.zip!red.tif", "file:///x/a%20b.tif"],
    ],
)
def test_ordinary_paths_are_joined_as_datacube_does(place: str, path: str | None) -> None:
    assert join_path(place, path) == uri_resolve(place, path)


@given(
    st.text(string.printable + "äé日本", min_size=1).filter(lambda name: not set(name) & set("/\0") and name.strip("."))
)
def test_any_name_beside_a_local_document_is_found_again(name: str) -> None:
    if name.lower().startswith("/vsi") or "://" in name:
        return
    assert local_path(join_path("file:///data/a%23b/scene.yaml", name)) == f"/data/a#b/{name}"


@pytest.mark.parametrize(
    ("place", "path", "joined"),
    [
        ("file:///d/scene%231.yaml", "a#1.tif", "/d/a#1.tif"),
        ("file:///d/c/s.yaml", "../x y.tif", "/d/x y.tif"),
        ("/d/s.yaml", "red?x=1.tif", "/d/red?x=1.tif"),
        ("file:///vsizip//d/x.zip/s.yaml", "red.tif", "/vsizip//d/x.zip/red.tif"),
        ("file:///vsicurl/https://h/d/s.yaml", "red.tif", "/vsicurl/https://h/d/red.tif"),
        ("https://h/d/s.yaml", "a#1 b.tif", "https://h/d/a%231%20b.tif"),
        ("https://h/d/s.yaml", "50%.tif", "https://h/d/50%25.tif"),
        ("https://h/d/s.yaml", "a%20b.tif", "https://h/d/a%20b.tif"),
        ("https://h/d/s.yaml", "2020-01-01T10:00.tif", "https://h/d/2020-01-01T10:00.tif"),
        ("https://h/d/s.yaml", "é.tif?sig=a%2Bb", "https://h/d/%C3%A9.tif?sig=a%2Bb"),
        ("s3://b/k//s.yaml", "a#1?.tif", "s3://b/k//a#1?.tif"),
        ("zip+file:///d/x.zip!a/s.yaml", "../red.tif", "/vsizip/{/d/x.zip}/red.tif"),
        ("zip+file:///d/x%20y.zip!s.yaml", "red.tif", "/vsizip/{/d/x y.zip}/red.tif"),
    ],
)
def test_what_gdal_opens(place: str, path: str, joined: str) -> None:
    assert gdal_name(join_path(place, path)).replace("/vsis3/", "s3://") == joined


def test_a_name_is_what_it_says_and_percent_encoded_where_there_is_no_such_file(tmp_path: Path) -> None:
    place = (tmp_path / "scene.yaml").as_uri()
    encoded, plain = tmp_path / "a%20b.tif", tmp_path / "a b.tif"
    address = join_path(place, "a%20b.tif")
    assert existing_path(address) == str(encoded)
    plain.touch()
    assert existing_path(address) == str(plain)
    encoded.touch()
    assert existing_path(address) == str(encoded)
    assert existing_path(f"file://{encoded}") == str(plain)
    plain.unlink()
    assert existing_path(f"file://{encoded}") == str(encoded)


@pytest.mark.parametrize(
    ("address", "cleaned"),
    [
        ("https://user:secret@h/a/red.tif?sig=secret#secret", "https://h/a/red.tif"),
        ("https://token-secret@h/red.tif", "https://h/red.tif"),
        ("https://h/a@b/red.tif", "https://h/a@b/red.tif"),
        ("/vsicurl/https://user:secret@h/red.tif?X-Amz-Signature=secret", "/vsicurl/https://h/red.tif"),
        ("/vsicurl?header.Authorization=secret&url=https://h/red.tif", "/vsicurl"),
        ("zip+https://user:secret@h/x.zip!red.tif", "zip+https://h/x.zip!red.tif"),
        ("s3://b/a#1.tif?X-Amz-Credential=secret", "s3://b/a#1.tif"),
        ("file:///srv/private/red%231.tif", "red#1.tif"),
        ("/srv/private/red.tif", "red.tif"),
        ("/vsizip//srv/private/x.zip/red.tif", "red.tif"),
        ("zip+file:///srv/private/x.zip!a/red.tif", "x.zip!a/red.tif"),
    ],
)
def test_people_see_no_secret_and_no_folder_of_the_server(address: str, cleaned: str) -> None:
    assert clean_address(address) == cleaned
    assert "secret" not in json.dumps(cleaned)


def test_local_files_are_named_relative_to_those_of_their_scene() -> None:
    files = ["file:///srv/s/B4/data.tif", "file:///srv/s/B5/data.tif", "https://h/x.tif?sig=1"]
    assert [relative_name(each, files) for each in files] == ["B4/data.tif", "B5/data.tif", "https://h/x.tif"]
    assert relative_name(files[0], files[:1]) == "data.tif"


def test_what_is_local() -> None:
    local = ["/a/b.tif", "file:///a/b.tif", "/vsizip//a/b.zip/c.tif", "zip+file:///a.zip!b.tif", "/data/vsicurl/x.tif"]
    remote = [
        "https://h/a.tif",
        "/vsicurl/https://h/a.tif",
        "/vsizip//vsis3/b/a.zip/b.tif",
        "s3://b/a",
        "zip+s3://b/a.zip!b",
    ]
    assert all(map(is_local, local))
    assert not any(map(is_local, remote))
