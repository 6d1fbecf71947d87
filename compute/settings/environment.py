"""Settings from ``GREENUP_*`` environment variables and a ``.env`` file.

Each number is documented with its unit and its reason. Nothing is read at import: the command line, the server or the
notebook creates `Settings` and passes it on.
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
    split_list,
)

MIB = 2**20
GIB = 2**30

MAX_CHARACTERS = 8192
"""Maximum length of a setting: twice the longest path on Linux, and longer than any URL in practice."""


def default_home() -> Path:
    """Return the default of ``GREENUP_HOME``.

    An embedded Postgres that root starts runs as another system user, and opens every parent folder of its data to that
    user. Below root's home directory this would expose the home, so root gets a system folder.

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
    """All settings of Greenup. With the defaults, everything runs embedded on this machine."""

    model_config = SettingsConfigDict(
        env_prefix="GREENUP_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(default_factory=default_home)
    """Folder of the embedded index, the demo scenes, the job database and the secret of result tokens."""

    index_url: SecretStr | None = None
    """SQLAlchemy URL of an Open Data Cube index. Default: the user's ODC configuration, else the embedded index."""

    jobs_url: SecretStr | None = None
    """SQLAlchemy URL of the job database, which several servers may share. Default: an SQLite file in the home
    folder."""

    secret: SecretStr | None = None
    """Key of the HMAC of result tokens, at least 16 characters, equal on all servers that share jobs. Default: a file
    in the home folder, created once."""

    auth: Literal["none", "basic", "oauth", "header", "jupyterhub"] = "none"
    """Login method; ``--auth`` overrides it."""

    auth_file: Path | None = None
    """Password file of ``basic``: one line ``NAME:HASH`` per user, with argon2 or bcrypt hashes."""

    auth_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "X-Forwarded-User"
    """Header in which the proxy of ``header`` passes the user name; trusted only from the addresses of ``--proxy``."""

    login_hours: Annotated[float, Field(gt=0, le=720)] = 12.0
    """Lifetime of a login in hours: one working day."""

    oauth_issuer: str | None = None
    """URL of the OpenID Connect provider, whose discovery document gives all other endpoints."""

    oauth_authorize_url: str | None = None
    """Authorisation endpoint, for an OAuth 2.0 provider without OpenID Connect."""

    oauth_token_url: str | None = None
    """Token endpoint, for an OAuth 2.0 provider without OpenID Connect."""

    oauth_user_url: str | None = None
    """User information endpoint, for an OAuth 2.0 provider without OpenID Connect."""

    oauth_client_id: str | None = None
    """Client id of this server at the provider."""

    oauth_client_secret: SecretStr | None = None
    """Client secret of this server at the provider."""

    oauth_scope: str = "openid profile email"
    """Requested OAuth scopes, separated by spaces."""

    oauth_user_key: str = "sub"
    """Field of the provider's response that identifies the user; the provider must never reassign its values."""

    oauth_redirect_url: str | None = None
    """Redirect URI (``oauth_callback``) registered at the provider. Default: derived from the request."""

    metrics_token: SecretStr | None = None
    """Bearer token that gives access to ``/metrics`` without a login."""

    require_durable: bool = False
    """Refuse jobs whose results would not survive a restart, instead of computing them with a warning."""

    results_max_age_days: Annotated[float, Field(gt=0)] = 30.0
    """Retention of a result after its last use, in days."""

    results_max_gib: Annotated[float, Field(gt=0)] = 100.0
    """Maximum size of all stored results, in GiB; beyond it, the least recently used results are deleted."""

    gateway_address: str | None = None
    """URL of a Dask Gateway. Default: the Dask configuration."""

    debug: bool = False
    """Show the traceback of an unexpected error on the command line, instead of one sentence."""

    workers: Annotated[int, Field(ge=1, le=1000)] = 4
    """Number of workers of a Gateway cluster if ``--workers`` is not given."""

    max_workers: Annotated[int, Field(ge=1)] = 64
    """Maximum number of workers of one cluster: a guard against typing errors, not a quota."""

    max_visits: Annotated[int, Field(ge=1)] = 100
    """Maximum number of open pages: each takes about 6 MB of server memory and a second of CPU time to build."""

    max_visits_per_address: Annotated[int, Field(ge=1)] = 20
    """Maximum number of open pages per IP address. Does not apply to this machine's own addresses, where proxies
    run."""

    max_connections: Annotated[int, Field(ge=16)] = 1000
    """Maximum number of connections that wait for a request or an answer, limited by the process's open files. A
    browser opens up to six; the page's websocket is not counted."""

    max_clusters_per_user: Annotated[int, Field(ge=1)] = 4
    """Maximum number of clusters that one user may have open on all servers of one job database; without a login, all
    visitors together. Idle clusters are easily forgotten, and each may cost money."""

    max_jobs_per_user: Annotated[int, Field(ge=1)] = 4
    """Maximum number of jobs of one user that run at a time on all servers of one job database; without a login, of all
    visitors together. Further jobs are queued: running more at once only delays all of them."""

    cluster_linger_s: Annotated[float, Field(gt=0)] = 900.0
    """Idle time after which a Gateway cluster of a visitor is stopped, in seconds. Starting another takes minutes, and
    each minute of an idle one may cost money."""

    cluster_start_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """Time limit for a scheduler and its first worker, in seconds: a new cloud node takes minutes, ten of them mean a
    fault."""

    workers_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Time limit for a computation without a usable worker (all lost or out of memory), in seconds. A killed worker is
    restarted within ten seconds. Workers requested from a Gateway have the time limit of the first worker."""

    chunk_px: Annotated[int, Field(ge=64, le=16384)] = 2048
    """Target edge of a spatial chunk in pixels. 2048 px keep the memory of a task near 100 MB and the number of windows
    per scene low; larger chunks extend beyond the swath, smaller ones multiply reads."""

    max_groups_per_task: Annotated[int, Field(ge=1)] = 64
    """Maximum number of (platform, solar day) groups per task: about a minute of work, so that progress is visible and
    the loss of a worker costs little."""

    tile_cache_mib: Annotated[float, Field(ge=0)] = 64.0
    """Memory for finished tiles, in MiB. 512 tiles of 256 px fill about twenty screens, so that changing the style does
    not request pixels from the workers again."""

    tile_queue: Annotated[int, Field(ge=2)] = 512
    """Maximum number of waiting tile requests: about two seconds of work."""

    question_queue: Annotated[int, Field(ge=2)] = 64
    """Maximum number of other waiting requests to workers (values, series, observations, statistics), half of them from
    one client. Each takes about a second, so that no request waits much longer than a minute."""

    results: str | None = None
    """Folder or fsspec URL for results that outlive the workers' memory, shared with the workers. Default: the home
    folder. ``none`` keeps results in memory only."""

    max_edge_px: Annotated[int, Field(ge=1)] = 200_000
    """Maximum edge of the output grid in pixels: Australia at 30 m is 140,000 px wide."""

    max_result_gib: Annotated[float, Field(gt=0)] = 64.0
    """Maximum size of a result (all seasons, mean and count), in GiB."""

    max_failed_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Maximum share (0 to 1) of a request's scenes that may be left out as unreadable; beyond it, the mean is not
    representative."""

    raster_drivers: Annotated[str, Field(pattern=r"^\s*\w+(\s*,\s*\w+)*\s*$")] = "GTiff, JP2OpenJPEG, JP2KAK, ENVI"
    """GDAL drivers that may open scene files, as far as they are installed. The files of these drivers reference no
    other files; those of most others can (VRT and WMS any address, HDF5 and netCDF local files): add them only if all
    documents are trusted."""

    data_roots: Annotated[str, AfterValidator(check_roots)] = ""
    """Additional locations of scene files, beside the folders of their documents, object stores and public hosts:
    folders, URL prefixes and GDAL prefixes, such as ``/data, http://127.0.0.1:9000/bucket, /vsizip/``. Workers read the
    files that a document names, so an untrusted document must not reach everything that the workers can."""

    own_machine: bool = False
    """Allow scene files on servers of the reading machine, such as ``http://127.0.0.1``. The command line reads for its
    own user; a server reads for any visitor."""

    max_block_mib: Annotated[int, Field(ge=1, le=16_384)] = 64
    """Maximum uncompressed size of a tile or strip of a scene file, in MiB. GDAL decompresses whole blocks, and a few
    hundred kB can become gigabytes. A COG tile takes 1 MiB or less, an untiled scene 100 MiB."""

    max_scenes: Annotated[int, Field(ge=1)] = 50_000
    """Maximum number of scenes of one request: two decades of four satellites over Tasmania are about 20,000."""

    @field_validator("*", mode="before")
    @classmethod
    def _require_text(cls, value: object) -> object:
        """Refuse text that would only fail later, as a path or in a database."""
        if isinstance(value, str):
            if len(value) > MAX_CHARACTERS:
                raise ValueError(f"it has more than {MAX_CHARACTERS} characters")
            if any("\ud800" <= each <= "\udfff" or each == "\0" for each in value):
                raise ValueError("it is not UTF-8 text")
        return value

    @property
    def results_location(self) -> str:
        """Folder or fsspec URL of all stored results."""
        results = self.results or str(self.home / "results")
        # Workers may run in another working directory.
        return results if "://" in results else str(Path(results).absolute())

    @property
    def access(self) -> Access:
        """Access rules for scene files."""
        return Access(
            drivers=tuple(split_list(self.raster_drivers)),
            roots=tuple(split_list(self.data_roots)),
            max_block_bytes=self.max_block_mib * MIB,
            own_machine=self.own_machine,
        )

    @property
    def jobs_location(self) -> str:
        """SQLAlchemy URL of the job database."""
        if self.jobs_url is not None:
            return self.jobs_url.get_secret_value()
        return f"sqlite:///{self.home / 'jobs.sqlite'}"


def load_settings() -> Settings:
    """Load the settings from the environment and from ``.env`` in the working directory.

    Returns
    -------
    Settings
        Validated and immutable.

    Raises
    ------
    InputError
        A variable does not parse, exceeds its bounds or names an invalid location (the message names it); or ``.env``
        is not UTF-8.
    """
    settings = _parse_settings()
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


def _parse_settings() -> Settings:
    """Parse the settings without checking their locations; raises as `load_settings`."""
    try:
        return Settings()
    except UnicodeDecodeError:
        raise InputError(".env", "The file .env in the working folder is not UTF-8 text; save it as UTF-8.") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = "GREENUP_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(
            name, f"The setting {name} is invalid: {first['msg'].removeprefix('Value error, ').rstrip('.')}."
        ) from None
