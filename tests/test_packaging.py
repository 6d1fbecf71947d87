"""What is shipped: the style of the code, the lock, the tree, the wheel, the image and the README's commands."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sys.executable).parent
PACKAGES = ("compute", "dashboard")
MAX_LINES = 300
"""A module that passes 300 lines is looked at; one that reaches this holds two ideas."""

TOP_LEVEL = {
    ".ci",
    ".dockerignore",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "assets",
    "compute",
    "dashboard",
    "pyproject.toml",
    "requirements.lock",
    "tests",
}

#: Folders where people and machines keep their own things. Only their inside is a slip; their names may be spoken of.
MACHINE_PATH = re.compile(rb"(?<![\w.~}])/(?:home/[\w-]+|Users/[\w-]+|work|workspace|mnt)/")

#: What takes long to import and no command needs before it is known what is asked.
HEAVY = {"dask", "datacube", "distributed", "numba", "numpy", "pandas", "rasterio", "sqlalchemy", "xarray"}


def output_of(*command: str | Path, **environment: str) -> str:
    """Return the standard output of a command that must succeed; pytest shows both of its outputs when it does not."""
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree() -> list[Path]:
    """Every file of the project, relative to its root: what git tracks, and what it would with `git add --all`."""
    if not (ROOT / ".git").exists():
        pytest.skip("git: this is not a checkout")
    listed = output_of("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    return [Path(name) for name in listed if name and (ROOT / name).is_file()]


# The style of the code


@pytest.mark.timeout(600)  # mypy without its cache reads the whole of xarray and pandas
@pytest.mark.parametrize(
    "tool",
    [
        pytest.param(["ruff", "check", "."], id="ruff-check"),
        pytest.param(["ruff", "format", "--check", "."], id="ruff-format"),
        pytest.param(["mypy"], id="mypy"),
        pytest.param(["lint-imports"], id="import-linter"),
    ],
)
def test_the_code_keeps_its_style(tool: list[str], pyproject: dict[str, Any]) -> None:
    assert " ".join(tool) in pyproject["tool"]["poe"]["tasks"]["check"]["sequence"]
    output_of(SCRIPTS / tool[0], *tool[1:])


def test_the_task_runner_lists_the_tasks_for_contributors() -> None:
    listed = output_of(SCRIPTS / "poe", "--help")

    assert [name for name in ("check", "unit", "test") if not re.search(rf"^ +{name} +\w", listed, re.MULTILINE)] == []


def test_modules_stay_short(tree: list[Path]) -> None:
    modules = [path for path in tree if path.parts[0] in PACKAGES and path.suffix == ".py"]
    lines = {str(path): len((ROOT / path).read_text().splitlines()) for path in modules}

    assert {path: number for path, number in lines.items() if number >= MAX_LINES} == {}


# The tree


def test_the_top_of_the_tree_holds_what_the_design_allows(tree: list[Path]) -> None:
    assert {path.parts[0] for path in tree} - TOP_LEVEL == set()


def test_no_file_names_a_path_of_one_machine(tree: list[Path]) -> None:
    contents = {str(path): (ROOT / path).read_bytes() for path in tree}

    assert [path for path, content in contents.items() if MACHINE_PATH.search(content)] == []


# The lock


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def lock() -> str:
    return (ROOT / "requirements.lock").read_text()


@pytest.fixture(scope="module")
def pins(lock: str) -> dict[str, list[str]]:
    """Each pinned name with its pins; a name has more than one where platforms or Python versions differ."""
    pinned: dict[str, list[str]] = {}
    for pin in re.findall(r"^\S.*(?:\n[ ].*)*", lock, re.MULTILINE):
        pinned.setdefault(canonicalize_name(pin.partition("==")[0]), []).append(pin)
    return pinned


def named_dependencies(pyproject: dict[str, Any]) -> Iterator[Requirement]:
    project = pyproject["project"]
    extras = project["optional-dependencies"].values()
    return map(Requirement, chain(project["dependencies"], *extras, pyproject["build-system"]["requires"]))


def test_every_line_of_the_lock_is_a_pin_with_hashes(pins: dict[str, list[str]]) -> None:
    pin = re.compile(r"[a-z0-9-]+==[\w.+!]+( ; .+?)? \\\n {4}--hash=sha256:[0-9a-f]{64}")

    assert [text for text in chain(*pins.values()) if not pin.match(text)] == []


def test_the_lock_fits_every_dependency_that_is_named(pyproject: dict[str, Any], pins: dict[str, list[str]]) -> None:
    for requirement in named_dependencies(pyproject):
        versions = [re.split(r"[=\s]+", pin)[1] for pin in pins.get(canonicalize_name(requirement.name), [])]

        assert versions, f"{requirement} is not in requirements.lock"
        assert all(requirement.specifier.contains(each) for each in versions), f"{requirement} is not {versions}"


def test_the_lock_leaves_open_where_packages_come_from(lock: str) -> None:
    assert re.findall(r"^.*(?:://|--(?:extra-)?index-url|--find-links| @ ).*$", lock, re.MULTILINE) == []


# Imports


@pytest.mark.parametrize(
    "arguments", [None, ["--help"], ["--version"], ["plan", "--help"]], ids=["import", "help", "version", "plan-help"]
)
def test_the_command_line_answers_before_anything_heavy_is_imported(arguments: list[str] | None) -> None:
    script = f"""
import json, sys
from dashboard.cli import main
{"" if arguments is None else f"main({arguments!r})"}
print(json.dumps(sorted({HEAVY!r} & sys.modules.keys())))
"""
    assert json.loads(output_of(sys.executable, "-c", script).splitlines()[-1]) == []


def test_workers_import_only_what_the_engine_needs() -> None:
    unneeded = {"aiohttp", "bokeh", "compute.cluster", "dask.array", "datacube", "panel", "sqlalchemy", "zarr"}
    script = f"""
import json, sys
import compute.statistics.season_tally, compute.tiles.tile_patches
print(json.dumps(sorted({unneeded!r} & sys.modules.keys())))
"""
    assert json.loads(output_of(sys.executable, "-c", script)) == []


def test_importing_starts_nothing(tmp_path: Path) -> None:
    script = f"""
import importlib, json, pkgutil, psutil, threading
for name in {PACKAGES!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
process = psutil.Process()
print(json.dumps([threading.active_count(), len(process.children()), len(process.net_connections())]))
"""
    answer = output_of(sys.executable, "-c", script, GREENUP_HOME=str(tmp_path / "home"))

    threads, children, connections = json.loads(answer)
    assert (threads, children, connections) == (1, 0, 0)
    assert not (tmp_path / "home").exists()


# The wheel


def test_the_wheel_holds_every_file_of_both_packages_and_nothing_else(tree: list[Path], tmp_path: Path) -> None:
    output_of(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path)

    (wheel,) = tmp_path.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == {path.as_posix() for path in tree if path.parts[0] in PACKAGES}


# The image


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile in order, each with its arguments on one line."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, arguments) for name, _, arguments in (line.partition(" ") for line in lines if line)]


def arguments_of(instruction: str) -> list[str]:
    return [arguments for name, arguments in instructions() if name == instruction]


def test_both_stages_of_the_image_start_from_a_base_that_can_be_swapped() -> None:
    assert instructions()[0] == ("ARG", "BASE_IMAGE=python:3.11-slim-bookworm")
    assert arguments_of("FROM") == ["${BASE_IMAGE} AS builder", "${BASE_IMAGE}"]


def test_the_image_does_not_run_as_root() -> None:
    user, group = map(int, arguments_of("USER")[-1].split(":"))

    assert user > 0
    assert group > 0


def test_everything_that_the_image_installs_from_an_index_is_checked_against_a_hash() -> None:
    installs = [command for line in arguments_of("RUN") for command in line.split("&&") if "pip install" in command]

    assert len(installs) == 3
    assert [command for command in installs if not re.search("--require-(build-)?hashes", command)] == []


def test_the_context_of_the_image_is_what_it_copies_and_exists() -> None:
    copied = {word for line in arguments_of("COPY") if not line.startswith("--from") for word in line.split()[:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert copied == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("words", "started"),
    [
        (["--help"], ["greenup", "--help"]),
        (["plan", "--bbox", "1,2,3,4", "--time", "a b"], ["greenup", "plan", "--bbox", "1,2,3,4", "--time", "a b"]),
        (["jobs", "list"], ["greenup", "jobs", "list"]),
        (["dask", "scheduler", "--port", "0"], ["dask", "scheduler", "--port", "0"]),
        (["python", "-m", "distributed.cli.dask_worker"], ["python", "-m", "distributed.cli.dask_worker"]),
    ],
)
def test_the_image_starts_greenup_unless_dask_or_python_is_asked_for(
    words: list[str], started: list[str], tmp_path: Path
) -> None:
    for program in ("greenup", "dask", "python"):
        stand_in = tmp_path / program
        stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" {program} "$@"\n')
        stand_in.chmod(0o755)
    entrypoint = json.loads(arguments_of("ENTRYPOINT")[0])

    assert output_of(*entrypoint, *words, PATH=str(tmp_path)).splitlines() == started


# The README


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """The README has it alone in the first block of shell below the heading "Test"."""
    section = (ROOT / "README.md").read_text().partition("\n## Test\n")[2].partition("\n## ")[0]
    command = section.partition("\n```sh\n")[2].partition("\n```\n")[0]

    assert command, "README.md has no block of shell below the heading Test"
    assert (ROOT / ".ci" / "run").read_text().endswith(f"\n\n{command}\n")


def test_ci_can_be_run() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR
