"""Settings from ``GREENUP_*`` environment variables and a ``.env`` file.

Every number stands here with its unit and its reason. Nothing is read at import: `Settings` is built by the
composition root (command line, server, notebook) and handed down.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from compute.errors import InputError
from compute.files.access import Access
from compute.settings.locations import (
    check_credential_files,
    check_gateway,
    check_home,
    check_index_url,
    check_results,
    check_roots,
    listed,
)

MIB = 2**20
GIB = 2**30

MAX_CHARACTERS = 8192
"""Most characters of one setting: twice the longest path of Linux, and more than any URL needs."""


def default_home() -> Path:
    """Return where Greenup keeps its own files when ``GREENUP_HOME`` is unset.

    The embedded Postgres opens every folder above its data to the system user that it runs as when it is started
    by root. Below root's own home that would expose the home, so root gets a system folder.

    Returns
    -------
    pathlib.Path
        ``/var/lib/greenup`` for root, else ``$XDG_DATA_HOME/greenup`` or ``~/.local/share/greenup``.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/greenup")
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "greenup"


class Settings(BaseSettings):
    """Every setting of Greenup; unset, everything runs embedded on this machine."""

    model_config = SettingsConfigDict(
        env_prefix="GREENUP_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(default_factory=default_home)
    """Folder of the embedded index, the demo scenes, the list of jobs and the secret of their tokens."""

    index_url: SecretStr | None = None
    """SQLAlchemy URL of an Open Data Cube index; unset, the ODC configuration, else the embedded index."""

    jobs_url: SecretStr | None = None
    """SQLAlchemy URL of the list of jobs, which several servers may share; unset, a SQLite file in the home folder."""

    secret: SecretStr | None = None
    """What tokens of results are made from, at least 16 characters and the same for all servers that share jobs; unset,
    a file in the home folder, made once."""

    auth: Literal["none", "basic", "oauth", "header", "jupyterhub"] = "none"
    """How visitors sign in, unless ``--auth`` says it."""

    auth_file: Path | None = None
    """Password file of ``basic``: a line ``NAME:HASH`` for each user, with argon2 or bcrypt hashes."""

    auth_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "X-Forwarded-User"
    """Header in which the proxy of ``header`` names the user; believed from the addresses of ``--proxy`` alone."""

    login_hours: Annotated[float, Field(gt=0, le=720)] = 12.0
    """How long a login lasts, in hours: a working day."""

    oauth_issuer: str | None = None
    """Address of the OpenID Connect provider, which tells all others."""

    oauth_authorize_url: str | None = None
    """Where users are sent to sign in, for a provider that is not OpenID Connect."""

    oauth_token_url: str | None = None
    """Where the code of a login is exchanged for a token, for a provider that is not OpenID Connect."""

    oauth_user_url: str | None = None
    """Where the token tells who the user is, for a provider that is not OpenID Connect."""

    oauth_client_id: str | None = None
    """Name of this server at the provider."""

    oauth_client_secret: SecretStr | None = None
    """Secret of this server at the provider."""

    oauth_scope: str = "openid profile email"
    """What is asked of the provider, separated by spaces."""

    oauth_user_key: str = "sub"
    """Field of the provider's answer that tells users apart: it must never be given to another person."""

    oauth_redirect_url: str | None = None
    """Address of this server's ``oauth_callback``, as the provider knows it; unset, that of the request."""

    metrics_token: SecretStr | None = None
    """Bearer token that opens ``/metrics`` without a login."""

    require_durable: bool = False
    """Refuse a job that would not survive a restart, rather than compute it and say so."""

    results_max_age_days: Annotated[float, Field(gt=0)] = 30.0
    """How long a result is kept after somebody last opened it, in days: a month outlives most questions about it."""

    results_max_gib: Annotated[float, Field(gt=0)] = 100.0
    """Most that the checkpoints of all results take, in GiB; beyond, those go first that nobody opened for longest."""

    gateway_address: str | None = None
    """URL of a Dask Gateway; unset, what Dask's own configuration says."""

    debug: bool = False
    """Show the traceback of an unexpected error on the command line, in place of a sentence."""

    workers: Annotated[int, Field(ge=1, le=1000)] = 4
    """Workers asked of a Gateway cluster when ``--workers`` is not given."""

    max_workers: Annotated[int, Field(ge=1)] = 64
    """Most workers that one cluster may be scaled to: a guard against a slip of the finger, not a quota."""

    max_visits: Annotated[int, Field(ge=1)] = 100
    """Most pages that are open at once: each takes some 6 MB of the server and a second of its time to build."""

    max_visits_per_address: Annotated[int, Field(ge=1)] = 20
    """Most pages that are open at once from one address; not of this machine, where proxies are."""

    max_connections: Annotated[int, Field(ge=16)] = 1000
    """Most connections that wait for a request or an answer at once, as far as the process may open as many files: a
    browser has up to six, beside the websocket of the page, which is not counted."""

    max_clusters_per_user: Annotated[int, Field(ge=1)] = 4
    """Most clusters that one user has open through the pages of all servers of one list of jobs; without a login, all
    visitors together. More are forgotten sooner than they are used, and each may cost."""

    max_jobs_per_user: Annotated[int, Field(ge=1)] = 4
    """Most computations of one user that are under way on all servers of one list of jobs; without a login, of all
    visitors together. Others are queued: they would only take turns, and all end later."""

    cluster_linger_s: Annotated[float, Field(gt=0)] = 900.0
    """How long a Gateway cluster that a visitor started stays with nothing to do: starting another takes minutes, and
    every minute of this one may cost."""

    cluster_start_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """Longest wait for a scheduler and its first worker: a new cloud node takes minutes, ten mean a fault."""

    workers_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """How long a computation goes on while no worker can work, as all are gone or out of memory, in seconds: one that
    was killed is back in ten, and what takes longer than a minute rarely comes by itself. Workers that a Gateway has
    been asked for are waited for as long as for the first one."""

    chunk_px: Annotated[int, Field(ge=64, le=16384)] = 2048
    """Target edge of a spatial chunk in pixels: 2048 px keep a task's memory near 100 MB and a scene's
    windows few; larger chunks reach past the swath, smaller ones multiply reads."""

    max_groups_per_task: Annotated[int, Field(ge=1)] = 64
    """Most (platform, solar day) groups that one task reads: about a minute of work, so that progress shows
    and a lost worker costs little."""

    tile_cache_mib: Annotated[float, Field(ge=0)] = 64.0
    """Memory of the server for finished tiles, in MiB: 512 tiles of 256 px are twenty screens, so that another style
    of what was just looked at is not asked of the workers again."""

    tile_queue: Annotated[int, Field(ge=2)] = 512
    """Most tiles that wait at once: about two seconds of work, after which a browser does better to ask again."""

    question_queue: Annotated[int, Field(ge=2)] = 64
    """Most questions to workers beside tiles (values, series, observations, statistics) that wait at once, and half of
    them of one requester: what takes a second each is better asked again than waited for longer than a minute."""

    results: str | None = None
    """Folder or fsspec URL where results outlive the memory of the workers, who share it; unset, in the home folder.
    ``none`` keeps them in memory alone."""

    max_edge_px: Annotated[int, Field(ge=1)] = 200_000
    """Most pixels along one edge of the output grid: Australia at 30 m is 140,000 px wide."""

    max_result_gib: Annotated[float, Field(gt=0)] = 64.0
    """Largest result (all seasons, mean and count), in GiB, that a request may ask for."""

    max_failed_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Largest share of a request's scenes that may be left out because they cannot be read: beyond it, the mean is
    another one than was asked for."""

    raster_drivers: Annotated[str, Field(pattern=r"^\s*\w+(\s*,\s*\w+)*\s*$")] = "GTiff, JP2OpenJPEG, JP2KAK, ENVI"
    """GDAL drivers that may open files of scenes, as far as GDAL has them. Files of these name no others; those of most
    others can name files or addresses for GDAL to read (VRT and WMS any, HDF5 and netCDF local ones): add them only
    where you trust all documents."""

    data_roots: Annotated[str, AfterValidator(check_roots)] = ""
    """Where files of scenes may lie beside the folders of their documents, object stores and public hosts: folders, URL
    prefixes and GDAL's prefixes, such as ``/data, http://127.0.0.1:9000/bucket, /vsizip/``. What a document names is
    read by the workers, so nobody should be able to name all that they can reach."""

    own_machine: bool = False
    """Whether files of scenes may lie on servers of the machine that reads them, such as ``http://127.0.0.1``: the
    command line reads there for its own user; a server reads for whoever asks."""

    max_block_mib: Annotated[int, Field(ge=1, le=16_384)] = 64
    """Largest tile or strip of a scene's file, unpacked, in MiB: GDAL unpacks whole ones, whatever is read of them, and
    a few hundred kB can become gigabytes. A tile of a COG takes 1 MiB or less, a scene in one piece 100 MiB."""

    max_scenes: Annotated[int, Field(ge=1)] = 50_000
    """Most scenes of one request: two decades of four satellites over all of Tasmania are about 20,000."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        """Refuse what would fail only later, when a path or a database is given it."""
        if isinstance(value, str):
            if len(value) > MAX_CHARACTERS:
                raise ValueError(f"it has more than {MAX_CHARACTERS} characters")
            if any("\ud800" <= each <= "\udfff" or each == "\0" for each in value):
                raise ValueError("it is not UTF-8 text")
        return value

    @property
    def results_location(self) -> str:
        """Folder or fsspec URL of all kept results."""
        results = self.results or str(self.home / "results")
        # Workers may run in another folder.
        return results if "://" in results else str(Path(results).absolute())

    @property
    def access(self) -> Access:
        """Rules by which files of scenes may be read."""
        return Access(
            drivers=tuple(listed(self.raster_drivers)),
            roots=tuple(listed(self.data_roots)),
            max_block_bytes=self.max_block_mib * MIB,
            own_machine=self.own_machine,
        )

    @property
    def jobs_location(self) -> str:
        """SQLAlchemy URL of the list of jobs."""
        if self.jobs_url is not None:
            return self.jobs_url.get_secret_value()
        return f"sqlite:///{self.home / 'jobs.sqlite'}"


def load_settings() -> Settings:
    """Read the settings from the environment and the ``.env`` file of the working folder.

    Returns
    -------
    Settings
        The validated, immutable settings.

    Raises
    ------
    InputError
        A variable does not parse, breaks its bound or names a place that cannot be, and the sentence names it; or
        ``.env`` is not UTF-8 text.
    """
    settings = _parsed()
    check_home(settings.home)
    check_credential_files()
    for value, check in (
        (settings.results, check_results),
        (settings.index_url and settings.index_url.get_secret_value(), check_index_url),
        (settings.gateway_address, check_gateway),
    ):
        if value:
            check(value)
    return settings


def _parsed() -> Settings:
    """Return the settings as they are written; raises as `load_settings` does."""
    try:
        return Settings()
    except UnicodeDecodeError:
        raise InputError(".env", "The file .env in the working folder is not UTF-8 text; save it as such.") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = "GREENUP_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(
            name, f"The setting {name} is not usable: {first['msg'].removeprefix('Value error, ').rstrip('.')}."
        ) from None
