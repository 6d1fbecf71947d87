"""The bill of materials of the lock, and the script that audits it."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
SBOM = ROOT / "assets" / "deploy" / "sbom.py"
AUDIT = ROOT / "assets" / "deploy" / "audit.sh"
LOCK = ROOT / "requirements.lock"

build_bill = runpy.run_path(str(SBOM))["build_bill"]


def written(*words: str) -> dict[str, Any]:
    """Return what the script writes, run as the Dockerfile runs it."""
    done = subprocess.run(
        [sys.executable, "-I", str(SBOM), *words, str(LOCK)], capture_output=True, text=True, check=True
    )
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


def locked() -> dict[tuple[str, str], set[str]]:
    """Return the hashes of each locked name and version, read another way than the script does."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    pin = ("", "")
    for word in LOCK.read_text().split():
        if "==" in word and not word.startswith(("'", '"', "#")) and re.fullmatch(r"[a-z0-9-]+==\S+", word):
            name, _, number = word.partition("==")
            pin = (name, number)
        elif word.startswith("--hash=sha256:"):
            found[pin].add(word.removeprefix("--hash=sha256:"))
    return dict(found)


def test_the_bill_lists_every_locked_name_and_version_with_its_hashes() -> None:
    bill = written()
    listed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in bill["components"]:
        assert {entry["alg"] for entry in each["hashes"]} == {"SHA-256"}
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
        listed[each["name"], each["version"]] |= {entry["content"] for entry in each["hashes"]}
    assert len(listed) > 200
    assert dict(listed) == locked()
    assert (bill["bomFormat"], bill["metadata"]["component"]["version"]) == ("CycloneDX", version("greenup"))
    references = [each["bom-ref"] for each in bill["components"]]
    assert len(set(references)) == len(references)
    assert bill["dependencies"][0]["dependsOn"] == references


def test_a_bill_is_the_same_for_the_same_lock_and_names_no_place() -> None:
    first = written()
    assert first == written()
    assert not re.search(r"https?://", json.dumps(first))
    assert first["serialNumber"] != build_bill(LOCK.read_text(), "another")["serialNumber"]


def test_what_an_environment_lacks_is_excluded() -> None:
    scopes = {(each["name"], each["version"]): each["scope"] for each in written("--installed")["components"]}
    assert scopes["numpy", version("numpy")] == "required"
    text = "here==1 \\\n    --hash=sha256:" + "0" * 64 + "\naway==1 \\\n    --hash=sha256:" + "1" * 64 + "\n"
    bill = build_bill(text, "1", {"here==1"})
    assert [each["scope"] for each in bill["components"]] == ["required", "excluded"]


@given(
    st.lists(
        st.tuples(
            st.text("abc019", min_size=1, max_size=6).map(lambda end: f"x-{end}"),
            st.tuples(st.integers(0, 99), st.integers(0, 2030)).map(lambda parts: "{}.{}".format(*parts)),
            st.lists(st.integers(0, 2**256 - 1).map("{:064x}".format), min_size=1, max_size=3),
            st.sampled_from(["", " ; python_full_version < '3.12'", " ; sys_platform == 'win32'"]),
        ),
        max_size=5,
    )
)
def test_any_lock_comes_back_whole(pins: list[tuple[str, str, list[str], str]]) -> None:
    text = "".join(
        f"{name}=={number}{marker} \\\n"
        + " \\\n".join(f"    --hash=sha256:{each}" for each in digests)
        + "\n    # via x\n"
        for name, number, digests, marker in pins
    )
    found = [
        (each["name"], each["version"], [entry["content"] for entry in each["hashes"]])
        for each in build_bill(text, "1")["components"]
    ]
    assert found == [(name, number, digests) for name, number, digests, _ in pins]


@pytest.mark.parametrize("line", ["numpy", "numpy>=1 \\", "numpy==1", "-r other.txt", "numpy==1 \\\n    # via x"])
def test_a_lock_without_a_hash_is_no_bill(line: str) -> None:
    with pytest.raises(ValueError, match=r"not a pin with a hash|has no hash"):
        build_bill(line + "\n", "1")


def test_the_image_holds_the_bill() -> None:
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    builder, _, final = text.partition("\nFROM ${BASE_IMAGE}\n")
    assert re.search(
        r"sbom\.py --installed requirements\.lock\s+> \"\$\{VIRTUAL_ENV\}/share/greenup/sbom\.cdx\.json\"", builder
    )
    assert "COPY --from=builder /opt/greenup /opt/greenup" in final


# The audit


def stand_ins(folder: Path, code: int) -> dict[str, str]:
    """Return an environment whose python3 makes a venv of programs that write down what they are asked."""
    folder.mkdir()
    said = folder / "said"
    program = f'#!/bin/sh\nprintf "%s\\n" "$0 $*" >> {said}\n'
    for name, end in (("pip", "exit 0"), ("pip-audit", f"exit {code}")):
        (folder / name).write_text(f"{program}{end}\n")
        (folder / name).chmod(0o755)
    maker = f'{program}mkdir -p "$3/bin" && cp {folder}/pip {folder}/pip-audit "$3/bin/"\n'
    (folder / "python3").write_text(maker)
    (folder / "python3").chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(folder / "scratch")}


@pytest.mark.parametrize("code", [0, 1])
def test_the_audit_looks_at_the_lock_alone_and_leaves_nothing(tmp_path: Path, code: int) -> None:
    environment = stand_ins(tmp_path / "programs", code)
    scratch = tmp_path / "programs" / "scratch"
    scratch.mkdir()
    done = subprocess.run([AUDIT, "--format", "json"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    made, installed, audited = (tmp_path / "programs" / "said").read_text().splitlines()
    assert done.returncode == code, done.stderr
    assert "-m venv" in made
    assert "pip-audit" in installed
    assert f"--requirement {LOCK}" in audited
    assert {"--require-hashes", "--disable-pip", "--strict", "--format", "json"} <= set(audited.split())
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "assets/deploy/audit.sh", "assets/deploy/sbom.py", "Dockerfile"])
def test_nothing_says_where_packages_come_from(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"index-url|find-links|pypi\.(org|python)|https?://", text)


def test_the_commands_for_contributors_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    programs = set(re.findall(r"\.venv/bin/([\w-]+)", text))
    assert programs == {"pip", "poe", "pytest", "python", "greenup", "ruff", "mypy", "lint-imports"}
    assert [name for name in re.findall(r"(?:assets|tests)/[\w/.-]+", text) if not (ROOT / name).exists()] == []
