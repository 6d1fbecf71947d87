"""Which index is opened, and what is said when none can be."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from compute.catalog import OdcCatalog, index_status, init_index, open_catalog
from compute.catalog.index_connection import _parse_database_url, _remove_secrets
from compute.errors import CatalogError
from compute.settings import Settings
from tests.fixtures.index import require_index

pytestmark = pytest.mark.index

SECRET = "swordfish"
CONFIGURING = ("ODC_", "DATACUBE_", "DB_", "GREENUP_")
"""Beginnings of variables that may name another index."""


def settings_of(url: str, home: Path) -> Settings:
    return Settings(home=home, index_url=SecretStr(url))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            f"postgresql://me:{SECRET}@127.0.0.1:1/db",
            r"cannot be reached \(Connection refused\); check that its database",
        ),
        (f"postgresql://me:{SECRET}@host.invalid/db", r"The scene index does not answer|cannot be reached"),
        (f"mysql://me:{SECRET}@localhost/db", "is a postgresql:// database, and its URL starts with mysql://"),
        (f"nonsense {SECRET}", "needs a URL such as postgresql://user@host:5432/database"),
        (f"postgresql://me:{SECRET}@host:port/db", "needs a URL such as"),
    ],
)
def test_an_unusable_url_is_refused_in_one_sentence_without_its_password(
    tmp_path: Path, url: str, message: str
) -> None:
    with pytest.raises(CatalogError, match=message) as refusal, open_catalog(settings_of(url, tmp_path)):
        pass
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_silent_host_is_given_up_after_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        port = silent.getsockname()[1]
        begin = time.monotonic()
        with (
            pytest.raises(CatalogError, match="timeout expired"),
            open_catalog(settings_of(f"postgresql://me@127.0.0.1:{port}/db", tmp_path)),
        ):
            pass
        assert time.monotonic() - begin < 15


def test_a_database_that_does_not_exist_or_has_no_tables_is_named(
    catalog: OdcCatalog, index_settings: Settings
) -> None:
    url = catalog.index._db.url
    absent = url.set(database="absent").render_as_string(hide_password=False)
    with (
        pytest.raises(CatalogError, match=r'cannot be reached \(FATAL:  database "absent" does not exist\)'),
        open_catalog(settings_of(absent, index_settings.home)),
    ):
        pass
    bare = url.set(database="template1").render_as_string(hide_password=False)
    with (
        pytest.raises(CatalogError, match="has no tables yet; create them with `greenup index init`"),
        open_catalog(settings_of(bare, index_settings.home)),
    ):
        pass


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_the_driver_of_a_url_is_written_out(scheme: str) -> None:
    url = _parse_database_url(f"{scheme}://me:{SECRET}@host:5433/db?sslmode=require")
    assert url.drivername == "postgresql+psycopg2"
    assert dict(url.query) == {"sslmode": "require", "connect_timeout": "5"}


def test_the_name_of_an_index_for_people_has_no_secret() -> None:
    url = _parse_database_url(f"postgresql://me:{SECRET}@host:5433/db?password={SECRET}")
    assert _remove_secrets(url) == "postgresql://me@host:5433/db"


@pytest.mark.parametrize("by", ["variable", "file"])
def test_the_configuration_of_datacube_itself_is_used(
    catalog: OdcCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    url = catalog.index._db.url.set(drivername="postgresql").render_as_string(hide_password=False)
    if by == "variable":
        monkeypatch.setenv("ODC_DEFAULT_DB_URL", url)
    else:
        monkeypatch.chdir(tmp_path)
        Path("datacube.conf").write_text(json.dumps({"default": {"index_driver": "postgres", "db_url": url}}))
    status = index_status(Settings(home=tmp_path, index_url=None))
    assert status.kind == "odc configuration"
    assert status.location == "postgresql://postgres@/postgres"
    assert not (tmp_path / "index").exists()


def test_greenups_own_url_goes_before_the_configuration_of_datacube(
    empty_index: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODC_DEFAULT_DB_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    assert index_status(empty_index).kind == "url"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "ODC_DEFAULT_INDEX_DRIVER",
            "memory",
            "names the index driver memory, and Greenup reads indexes of the driver",
        ),
        ("ODC_DEFAULT_INDEX_DRIVER", "nope", r"cannot be read \(Unknown index driver: nope"),
        ("ODC_CONFIG", "default: [", "cannot be read"),
        ("ODC_CONFIG_PATH", "/absent.conf", r"cannot be read \(No configuration file found"),
    ],
)
def test_an_unusable_configuration_of_datacube_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(CatalogError, match=message) as refusal, open_catalog(Settings(home=tmp_path, index_url=None)):
        pass
    assert "\n" not in str(refusal.value)


def test_two_processes_use_the_embedded_index_at_once(catalog: OdcCatalog, index_settings: Settings) -> None:
    script = """
import sys
from pathlib import Path
from compute.catalog import index_status
from compute.settings import Settings
from tests.fixtures.index import require_index
status = index_status(Settings(home=Path(sys.argv[1]), index_url=None))
sys.stdout.write(f"{status.kind} {[product.name for product in status.products]}")
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(index_settings.home)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[3],
        env=dict(os.environ),
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"embedded {catalog.products()}"


def test_an_embedded_database_that_dies_is_started_again_when_it_is_asked() -> None:
    require_index()
    script = """
        import os, signal
        from compute.catalog import open_catalog
        from compute.settings import Settings

        settings = Settings()
        with open_catalog(settings) as catalog:
            assert catalog.products() == []
            pid = int((settings.home / "index" / "postgres" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
            for _ in range(3):
                assert catalog.products() == []
        """
    # Not below pytest's folder, which it closes to the user that root's database runs as.
    with tempfile.TemporaryDirectory(prefix="greenup-test-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURING)}
        subprocess.run(
            [sys.executable, "-c", dedent(script)],
            env=environment | {"GREENUP_HOME": home},
            check=True,
            timeout=120,
        )


@pytest.mark.index
def test_an_index_without_one_of_its_tables_is_called_damaged(empty_index: Settings) -> None:
    assert empty_index.index_url is not None
    engine = create_engine(empty_index.index_url.get_secret_value())
    with engine.begin() as connection:
        connection.execute(text("drop table agdc.dataset_location cascade"))
    engine.dispose()
    with pytest.raises(CatalogError, match=r"lacks a table .* is damaged; restore it, or set GREENUP_HOME"):
        init_index(empty_index)
