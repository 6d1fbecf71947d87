"""Connection to a datacube index, by URL, by the user's ODC configuration, or in an embedded PostgreSQL server."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from datacube.cfg import ODCConfig, ODCEnvironment
from datacube.cfg.exceptions import ConfigException
from datacube.cfg.opt import psql_url_from_config
from datacube.index import index_connect
from datacube.index.abstract import AbstractIndex
from datacube.index.exceptions import IndexSetupError
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from compute.catalog.datacube_index import Kind, OdcCatalog, database_error
from compute.catalog.embedded_postgres import EmbeddedPostgres
from compute.errors import CatalogError, IndexSettingError
from compute.settings import Settings
from compute.settings.home import open_home
from compute.settings.locations import make_home

_DRIVERS = ("postgres", "default", "legacy")
"""Names of datacube's ``postgres`` index driver."""

_DATABASE_OPTIONS = ("db_iam_authentication", "db_iam_timeout", "db_query_timeout")
"""Database options of an ODC configuration, except for URL and connection pool."""

_CONNECT_TIMEOUT_S = 5
"""Time limit for connecting to the database, in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _IndexLocation:
    """Location of an index: source, datacube environment, display name, and a function that restarts its server."""

    kind: Kind
    environment: ODCEnvironment
    location: str
    restart: Callable[[], None] | None = None


@contextmanager
def open_catalog(settings: Settings, *, create_tables: bool = False) -> Iterator[OdcCatalog]:
    """Open the scene index for the duration of a ``with`` block.

    The index is the first of these that is configured: the database in ``GREENUP_INDEX_URL``; the index in the user's
    ODC configuration (``ODC_*`` variables or a configuration file that datacube finds); an embedded Postgres server in
    ``GREENUP_HOME``, which is created on first use.

    Parameters
    ----------
    settings : Settings
        Settings; only `index_url` and `home` are used.
    create_tables : bool, default: False
        Whether missing tables of a configured index are created. The tables of the embedded index are always created.

    Yields
    ------
    OdcCatalog
        Open catalogue, which is not thread-safe.

    Raises
    ------
    CatalogError
        The index cannot be reached, has no tables, does not allow their creation, or requires the extra ``embedded``.
    InputError
        The home folder of the embedded index is unsuitable; or, as `IndexSettingError`, a setting is invalid.
    """
    with ExitStack() as stack:
        place = _find_configured_index(settings) or _start_embedded_index(settings, stack)
        if create_tables:
            _create_tables(place.environment)
        index = _connect(place.environment)
        catalog = OdcCatalog(index, kind=place.kind, location=place.location, restart=place.restart)
        stack.callback(catalog.close)
        yield catalog


@contextmanager
def ensure_catalog(target: OdcCatalog | Settings) -> Iterator[OdcCatalog]:
    """Yield an open catalogue unchanged, or open the catalogue of the settings.

    Parameters
    ----------
    target : OdcCatalog or Settings
        An open catalogue, which is not closed on exit, or the settings to open one.

    Yields
    ------
    OdcCatalog
        The open catalogue.
    """
    if isinstance(target, OdcCatalog):
        yield target
    else:
        with open_catalog(target) as catalog:
            yield catalog


def _find_configured_index(settings: Settings) -> _IndexLocation | None:
    """Return the index in the settings or the user's ODC configuration; None if neither names an index."""
    if settings.index_url is not None:
        url = _parse_database_url(settings.index_url.get_secret_value())
        return _IndexLocation(kind="url", environment=_make_environment(url), location=_remove_secrets(url))
    environment = _find_odc_configuration()
    if environment is None:
        return None
    if environment.index_driver not in _DRIVERS:
        raise IndexSettingError(
            "ODC configuration",
            f"The ODC configuration names the index driver {environment.index_driver}, and Greenup reads indexes of "
            "the driver postgres; set GREENUP_INDEX_URL to one.",
        )
    url = _parse_database_url(psql_url_from_config(environment))
    return _IndexLocation(
        kind="odc configuration", environment=_replace_url(environment, url), location=_remove_secrets(url)
    )


def _start_embedded_index(settings: Settings, stack: ExitStack) -> _IndexLocation:
    """Start the embedded server and create missing tables; the server is stopped when `stack` closes."""
    folder = settings.home / "index"
    server = EmbeddedPostgres(folder)
    server.check_folder()
    open_home(settings)
    make_home(settings.home)
    server.start(prepare=lambda url: _create_tables(_make_environment(url)))
    stack.callback(server.stop)
    environment = _make_environment(server.url)
    return _IndexLocation(
        kind="embedded", environment=environment, location=str(folder), restart=server.restart_if_dead
    )


def _parse_database_url(text: str) -> URL:
    """Parse a database URL; add a driver, since SQLAlchemy's default depends on its version, and a time limit."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise IndexSettingError(
            "index URL", "The index needs a URL such as postgresql://user@host:5432/database."
        ) from None
    if url.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise IndexSettingError(
            "index URL", f"The index is a postgresql:// database, and its URL starts with {url.drivername}://."
        )
    driver = url.drivername.partition("+")[2] or "psycopg2"
    timeout = {"connect_timeout": str(_CONNECT_TIMEOUT_S)}
    return url.set(drivername=f"postgresql+{driver}", query={**timeout, **url.query})


def _remove_secrets(url: URL) -> str:
    """Return a URL for display, without password and query, which may contain a password as well."""
    return URL.create("postgresql", url.username, None, url.host, url.port, url.database).render_as_string()


def _make_environment(url: URL, **options: Any) -> ODCEnvironment:
    text = url.render_as_string(hide_password=False)
    return ODCConfig(raw_dict={"default": {"index_driver": "postgres", **options, "db_url": text}})["default"]


def _replace_url(environment: ODCEnvironment, url: URL) -> ODCEnvironment:
    """Return an ODC configuration with another URL and the same database options."""
    kept = {name: getattr(environment, name, None) for name in _DATABASE_OPTIONS}
    return _make_environment(url, **{name: value for name, value in kept.items() if value is not None})


def _find_odc_configuration() -> ODCEnvironment | None:
    """Return the environment that datacube opens by default; None if no index is configured."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No configuration file found", UserWarning)
        try:
            configuration = ODCConfig()
            environment = configuration[None]
            _ = environment.index_driver  # reads all options, including environment variables
        except (ConfigException, OSError, ValueError) as error:
            raise IndexSettingError(
                "ODC configuration",
                f"The ODC configuration of this user cannot be read ({_first_line(error)}); correct it, or set "
                "GREENUP_INDEX_URL.",
            ) from error
    return None if configuration.is_default and not environment._env_overrides_applied else environment


def _connect(environment: ODCEnvironment) -> AbstractIndex:
    """Connect to an index with existing tables."""
    try:
        return index_connect(environment, application_name="greenup")
    except DBAPIError as error:
        raise _connection_error(error) from None
    except IndexSetupError as error:
        if "schema" in str(error):
            raise CatalogError("The scene index has no tables yet; create them with `greenup index init`.") from None
        raise CatalogError(f"The scene index cannot be opened: {_first_line(error).rstrip('.')}.") from None


def _create_tables(environment: ODCEnvironment) -> None:
    """Create the missing tables and standard metadata types of an index."""
    index = index_connect(environment, application_name="greenup", validate_connection=False)
    try:
        # with_permissions: datacube 1.9 requires its database roles for the addition of products.
        index.init_db(with_default_types=True, with_permissions=True)
    except DBAPIError as error:
        raise _connection_error(error) from None
    finally:
        index.close()


def _connection_error(error: DBAPIError) -> CatalogError:
    """Convert a connection error to an error with its reason, but without the address, which may be confidential."""
    reason = _first_line(error.orig).rpartition("failed: ")[2]
    if not isinstance(error, OperationalError) or not reason:
        return database_error(error)
    return CatalogError(f"The scene index cannot be reached ({reason}); check that its database runs.")


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0]
