"""Cluster specification: kind of cluster, workers, threads and cluster options in one record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from compute.errors import InputError

MAX_THREADS = 256
"""Maximum number of threads per worker: a guard against typing errors."""

_FORMS = "local, gateway, gateway:NAME or tcp://HOST:PORT"
# The name becomes part of a URL path; Gateways use only these characters in names.
_GATEWAY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """Specification of a cluster to open.

    Attributes
    ----------
    kind : {"local", "gateway", "tcp"}
        Worker processes on this machine, a cluster of a Dask Gateway, or an existing scheduler.
    name : str or None
        Full or short name of an existing Gateway cluster; None for a new cluster.
    address : str or None
        ``tcp://HOST:PORT`` of the scheduler; for kind ``"tcp"`` only.
    workers : int or None
        Number of workers to start (``"local"``, ``"gateway"``) or to wait for (``"tcp"``). None for the existing
        workers or, without any, for the default of the machine (``"local"``) or of the settings (``"gateway"``).
    most_workers : int or None
        Maximum number of workers of adaptive scaling, whose minimum is `workers`; None for a fixed number of workers.
        Not for kind ``"tcp"``.
    threads : int or None
        Threads per worker; for kind ``"local"`` only. None to divide the cores among the workers.
    options : mapping of str to str
        Values of the cluster options of a new Gateway cluster, as text, by name.
    owner : str or None
        Scope of the principal who may use, scale and stop the cluster; None for all users.
    """

    kind: Literal["local", "gateway", "tcp"]
    name: str | None = field(default=None, repr=False)
    address: str | None = None
    workers: int | None = None
    most_workers: int | None = None
    threads: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """Key that is equal for specifications of the same cluster, whatever their number of workers."""
        return self.kind, self.name, self.address, self.threads, self.owner, frozenset(self.options.items())


def parse_cluster(
    text: str,
    *,
    workers: int | None = None,
    adapt: str | None = None,
    threads: int | None = None,
    options: Sequence[str] = (),
) -> ClusterSpec:
    """Parse the cluster options of the command line.

    Parameters
    ----------
    text : str
        ``local``, ``gateway``, ``gateway:NAME`` or ``tcp://HOST:PORT``.
    workers : int, optional
        Number of workers, at least 1.
    adapt : str, optional
        Limits ``LEAST-MOST`` for adaptive scaling, instead of `workers`.
    threads : int, optional
        Threads per worker, at least 1; local clusters only.
    options : sequence of str, optional
        Cluster options as ``KEY=VALUE``; new Gateway clusters only.

    Returns
    -------
    ClusterSpec
        The specification.

    Raises
    ------
    InputError
        An option is malformed or incompatible with another; `field` of the error is ``"cluster"``, ``"workers"``,
        ``"adapt"``, ``"threads"`` or ``"cluster-option"``.
    """
    if workers is not None and workers < 1:
        raise InputError("workers", f"The number of workers must be at least 1, not {workers}.")
    kind, name, address = _parse_kind(text.strip())
    _check_threads(threads, kind)
    most = None
    if adapt is not None:
        workers, most = _parse_limits(adapt, kind == "tcp" or name is not None, workers)
    if options and (kind != "gateway" or name):
        raise InputError("cluster-option", "Cluster options go with a new Gateway cluster only: use --cluster gateway.")
    return ClusterSpec(
        kind=kind,
        name=name,
        address=address,
        workers=workers,
        most_workers=most,
        threads=threads,
        options=_parse_options(options),
    )


def _check_threads(threads: int | None, kind: str) -> None:
    if threads is None:
        return
    if not 1 <= threads <= MAX_THREADS:
        raise InputError("threads", f"The threads of a worker must be 1 to {MAX_THREADS}, not {threads}.")
    if kind != "local":
        raise InputError(
            "threads", "The number of threads applies to local workers: use --cluster local, or leave --threads out."
        )


def _parse_limits(text: str, runs: bool, workers: int | None) -> tuple[int, int]:
    """Parse the minimum and maximum number of workers of adaptive scaling."""
    if workers is not None:
        raise InputError("adapt", "Give the workers either as a number or as limits: leave --workers or --adapt out.")
    if runs:
        raise InputError(
            "adapt", "A cluster that runs already may have other users and is not scaled; leave --adapt out."
        )
    found = re.fullmatch(r"([0-9]{1,6})-([0-9]{1,6})", text.strip(), re.ASCII)
    least, most = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= least <= most:
        raise InputError("adapt", f"The limits {text[:80]!r} are not LEAST-MOST workers, such as 1-8, from 1 upwards.")
    return least, most


def _parse_kind(text: str) -> tuple[Literal["local", "gateway", "tcp"], str | None, str | None]:
    if text == "local":
        return "local", None, None
    if text == "gateway":
        return "gateway", None, None
    if text.startswith("gateway:"):
        return "gateway", _gateway_name(text.removeprefix("gateway:")), None
    if text.startswith("tcp://"):
        return "tcp", None, _scheduler_address(text)
    raise InputError("cluster", f"The cluster {text[:80]!r} is not known; give {_FORMS}.")


def _gateway_name(name: str) -> str:
    if _GATEWAY_NAME.fullmatch(name):
        return name
    raise InputError("cluster", "The name after gateway: may hold letters, digits, dots, hyphens and underscores only.")


def _scheduler_address(text: str) -> str:
    refusal = InputError("cluster", f"The scheduler address {text[:80]!r} is not of the form tcp://HOST:PORT.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise refusal from None
    host = parts.hostname or ""
    netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if not host or not port or re.search(r"\s", host) or text.lower() != f"tcp://{netloc}":
        raise refusal
    return f"tcp://{netloc}"


def _parse_options(options: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key.strip():
            raise InputError("cluster-option", f"The cluster option {option[:80]!r} is not of the form KEY=VALUE.")
        if key.strip() in pairs:
            raise InputError("cluster-option", f"The cluster option {key.strip()[:80]} is given twice; give it once.")
        pairs[key.strip()] = value.strip()
    return pairs
