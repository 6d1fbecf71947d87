"""Settings from ``GREENUP_*`` environment variables and a ``.env`` file.

Each numeric setting is documented with its unit and the reason for its default. Importing this module reads no
variables: the command line, server or notebook calls `load_settings` and passes the result to other functions.
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
"""Maximum length of a setting in characters: twice the longest path on Linux, and longer than any URL in practice."""


def default_home() -> Path:
    """Return the default of ``GREENUP_HOME``.

    If root starts the embedded Postgres, the server runs as another system user, who needs access to all parent folders
    of the data. The default for root is therefore a system folder, so that root's home directory stays private.

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
    """All settings of Greenup. The defaults run everything on this machine, with an embedded index."""

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
    """HMAC key of result tokens: at least 16 characters, identical on all servers that share jobs. Default: a key that
    is generated once and stored in the home folder."""

    auth: Literal["none", "basic", "oauth", "header", "jupyterhub"] = "none"
    """Login method; ``--auth`` overrides it."""

    auth_file: Path | None = None
    """Password file for the login method ``basic``: one line ``NAME:HASH`` per user, with argon2 or bcrypt hashes."""

    auth_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "X-Forwarded-User"
    """HTTP header with the user name for the login method ``header``; accepted only from the proxies in ``--proxy``."""

    login_hours: Annotated[float, Field(gt=0, le=720)] = 12.0
    """Lifetime of a login in hours: one working day."""

    oauth_issuer: str | None = None
    """URL of the OpenID Connect provider; all endpoints are read from its discovery document."""

    oauth_authorize_url: str | None = None
    """Authorisation endpoint, for an OAuth 2.0 provider without OpenID Connect."""

    oauth_token_url: str | None = None
    """Token endpoint, for an OAuth 2.0 provider without OpenID Connect."""

    oauth_user_url: str | None = None
    """User information endpoint, for an OAuth 2.0 provider without OpenID Connect."""

    oauth_client_id: str | None = None
    """Client id of this server, as registered at the provider."""

    oauth_client_secret: SecretStr | None = None
    """Client secret of this server, as issued by the provider."""

    oauth_scope: str = "openid profile email"
    """Requested OAuth scopes, separated by spaces."""

    oauth_user_key: str = "sub"
    """Field of the provider's response that identifies the user. Its values must never be reassigned to other users."""

    oauth_redirect_url: str | None = None
    """Redirect URI registered at the provider, ending in ``oauth_callback``. Default: derived from the request."""

    metrics_token: SecretStr | None = None
    """Bearer token that gives access to ``/metrics`` without a login."""

    require_durable: bool = False
    """Whether jobs are refused if their results would be lost at a restart; otherwise they run with a warning."""

    results_max_age_days: Annotated[float, Field(gt=0)] = 30.0
    """Number of days for which a stored result is kept after its last use."""

    results_max_gib: Annotated[float, Field(gt=0)] = 100.0
    """Maximum total size of all stored results, in GiB. Above it, the least recently used results are deleted."""

    gateway_address: str | None = None
    """URL of a Dask Gateway. Default: the Dask configuration."""

    debug: bool = False
    """Whether the command line shows the traceback of an unexpected error instead of one sentence."""

    workers: Annotated[int, Field(ge=1, le=1000)] = 4
    """Number of workers of a Gateway cluster if ``--workers`` is not given."""

    max_workers: Annotated[int, Field(ge=1)] = 64
    """Maximum number of workers of one cluster, as a protection against typing errors."""

    max_visits: Annotated[int, Field(ge=1)] = 100
    """Maximum number of open pages; each needs about 6 MB of server memory and one second of CPU time to build."""

    max_visits_per_address: Annotated[int, Field(ge=1)] = 20
    """Maximum number of open pages per IP address. Loopback addresses are exempt, since proxies connect from them."""

    max_connections: Annotated[int, Field(ge=16)] = 1000
    """Maximum number of HTTP connections, including idle ones; the process's limit of open files also applies. A
    browser opens up to six. Websockets of pages are not counted."""

    max_clusters_per_user: Annotated[int, Field(ge=1)] = 4
    """Maximum number of open clusters of one user, on all servers that share a job database. Without a login, all
    visitors count as one user. The limit exists because forgotten idle clusters may cost money."""

    max_jobs_per_user: Annotated[int, Field(ge=1)] = 4
    """Maximum number of concurrent jobs of one user, on all servers that share a job database. Without a login, all
    visitors count as one user. Further jobs are queued, since more concurrent jobs would delay each other."""

    cluster_linger_s: Annotated[float, Field(gt=0)] = 900.0
    """Idle time in seconds after which a Gateway cluster of a visitor is stopped. The default balances the minutes that
    a new cluster needs to start against the cost of an idle one."""

    cluster_start_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """Time limit for the start of a scheduler and its first worker, in seconds. A new cloud node needs minutes; a start
    of over ten minutes indicates a fault."""

    workers_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Time in seconds after which a computation fails if all workers are lost or out of memory. A killed worker is
    restarted within ten seconds. For workers requested from a Gateway, `cluster_start_timeout_s` applies if longer."""

    chunk_px: Annotated[int, Field(ge=64, le=16384)] = 2048
    """Target edge length of a spatial chunk in pixels. With 2048 px, a task needs about 100 MB and few windows are read
    per scene. Larger chunks extend beyond the swath; smaller chunks increase the number of reads."""

    max_groups_per_task: Annotated[int, Field(ge=1)] = 64
    """Maximum number of (platform, solar day) groups per task. The default takes about a minute, so that progress is
    visible and little work is lost with a worker."""

    tile_cache_mib: Annotated[float, Field(ge=0)] = 64.0
    """Size of the cache of finished tiles, in MiB. The default holds about 512 tiles of 256 px, which cover twenty
    screens; cached tiles are not requested from the workers again."""

    tile_queue: Annotated[int, Field(ge=2)] = 512
    """Maximum number of queued tile requests; 512 take about two seconds."""

    question_queue: Annotated[int, Field(ge=2)] = 64
    """Maximum number of other queued requests to workers (values, series, observations, statistics). One client may
    queue half of them. Each takes about a second, so that requests wait for about a minute at most."""

    results: str | None = None
    """Folder or fsspec URL where results are stored, shared with the workers. Default: ``results`` in the home folder.
    With ``none``, results are held in the workers' memory only."""

    max_edge_px: Annotated[int, Field(ge=1)] = 200_000
    """Maximum edge length of the output grid in pixels; Australia at 30 m is 140,000 px wide."""

    max_result_gib: Annotated[float, Field(gt=0)] = 64.0
    """Maximum uncompressed size of a result (all seasons and layers), in GiB."""

    max_failed_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Maximum fraction (0 to 1) of unreadable scenes in a request. Above it, the computation fails, since the means
    would not be representative."""

    raster_drivers: Annotated[str, Field(pattern=r"^\s*\w+(\s*,\s*\w+)*\s*$")] = "GTiff, JP2OpenJPEG, JP2KAK, ENVI"
    """GDAL drivers that may open scene files, if installed. Files of the default drivers cannot reference other files.
    Files of most other drivers can (VRT and WMS any address, HDF5 and netCDF local files); add such a driver only if
    all documents are trusted."""

    data_roots: Annotated[str, AfterValidator(check_roots)] = ""
    """Additional allowed locations of scene files: folders, URL prefixes and GDAL prefixes, such as ``/data,
    http://127.0.0.1:9000/bucket, /vsizip/``. The list restricts which files an untrusted document can make workers
    read; see `Access.roots` for the locations that are always allowed."""

    own_machine: bool = False
    """Whether scene files on servers of the reading machine are allowed, such as ``http://127.0.0.1``. The command line
    always allows them, since its user can access these servers anyway; visitors of a server usually cannot."""

    max_block_mib: Annotated[int, Field(ge=1, le=16_384)] = 64
    """Maximum uncompressed size of a block (tile or strip) of a scene file, in MiB. GDAL decompresses whole blocks, and
    a block of a few hundred kB can expand to gigabytes. A COG tile has 1 MiB or less, an untiled scene 100 MiB."""

    max_scenes: Annotated[int, Field(ge=1)] = 50_000
    """Maximum number of scenes of one request; two decades of four satellites over Tasmania are about 20,000."""

    @field_validator("*", mode="before")
    @classmethod
    def _require_text(cls, value: object) -> object:
        """Refuse text that is too long, or that is invalid as a path or in a database."""
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
        # Absolute, since workers may run in another working directory.
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
        Validated, immutable settings.

    Raises
    ------
    InputError
        A variable cannot be parsed, is out of bounds or names an invalid location, or ``.env`` is not UTF-8. The
        message names the variable or file.
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
    """Parse the settings without checking their locations; raise the same errors as `load_settings`."""
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
