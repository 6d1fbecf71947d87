"""Write a software bill of materials (CycloneDX 1.6, JSON) of ``requirements.lock`` to standard output.

It needs only Python, so the image needs no further package. With ``--installed``, components that are missing from the
environment of this Python are marked as excluded: test tools, and packages of other platforms.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))? \\$")
_HASH = re.compile(r"--hash=sha256:(?P<digest>[0-9a-f]{64})")
_SPACE = uuid.UUID("5a0cd6f4-37b4-4d0e-9a53-6d2d8c2d57a1")


def build_bill(lock: str, version: str, installed: set[str] | None = None) -> dict[str, Any]:
    """Return the bill of materials of a lock; equal locks give equal bills.

    Parameters
    ----------
    lock : str
        Text of ``requirements.lock``: pins with markers and SHA-256 of all their files.
    version : str
        Version of Greenup.
    installed : set of str, optional
        Packages of one environment, as canonical ``name==version``; all others are marked as excluded.

    Raises
    ------
    ValueError
        A line is neither a pin with a hash nor a comment.
    """
    components = [_component(pin, installed) for pin in _pins(lock)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, version + lock)}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "greenup", "name": "greenup", "version": version},
        },
        "components": components,
        "dependencies": [{"ref": "greenup", "dependsOn": [each["bom-ref"] for each in components]}],
    }


def _pins(lock: str) -> list[dict[str, Any]]:
    """Return name, version, marker and digests of each pin."""
    pins: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if match := _PIN.match(line):
            pins.append({**match.groupdict(), "digests": []})
        elif (found := _HASH.search(line)) and pins:
            pins[-1]["digests"].append(found["digest"])
        elif line.strip() and not line.lstrip().startswith("#"):
            raise ValueError(f"The line {line[:80]!r} of the lock is not a pin with a hash.")
    if bare := [pin["name"] for pin in pins if not pin["digests"]]:
        raise ValueError(f"The pin of {bare[0]} has no hash.")
    return pins


def _component(pin: dict[str, Any], installed: set[str] | None) -> dict[str, Any]:
    name = _canonical(pin["name"])
    link = f"pkg:pypi/{name}@{pin['version']}"
    component = {
        "type": "library",
        "bom-ref": link if pin["marker"] is None else f"{link}#{pin['marker']}",
        "name": name,
        "version": pin["version"],
        "purl": link,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin["digests"]],
    }
    if installed is not None:
        component["scope"] = "required" if f"{name}=={pin['version']}" in installed else "excluded"
    if pin["marker"] is not None:
        component["properties"] = [{"name": "greenup:marker", "value": pin["marker"]}]
    return component


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Read the lock and the version of the project beside it, and print the bill of materials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path, help="requirements.lock, with pyproject.toml beside it")
    parser.add_argument("--installed", action="store_true", help="mark what this Python's environment lacks")
    words = parser.parse_args()
    project = words.lock.with_name("pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "([^"]+)"', project, re.MULTILINE)
    installed = {f"{_canonical(each.name)}=={each.version}" for each in distributions()} if words.installed else None
    bill = build_bill(words.lock.read_text(encoding="utf-8"), version[1] if version else "0", installed)
    json.dump(bill, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
