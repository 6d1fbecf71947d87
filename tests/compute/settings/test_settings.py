"""Settings: what is unset has a default, and what is wrong is refused by the name of its variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.errors import InputError
from compute.settings import Settings, default_home, load_settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings, in an empty folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GREENUP_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_unset_everything_has_its_default() -> None:
    settings = load_settings()
    assert settings.home == default_home()
    assert (settings.index_url, settings.gateway_address) == (None, None)
    assert (settings.workers, settings.chunk_px, settings.max_edge_px) == (4, 2048, 200_000)


def test_variables_and_the_env_file_are_read_and_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("GREENUP_WORKERS=7\nGREENUP_CHUNK_PX=512\nSOMETHING_ELSE=1\n", encoding="utf-8")
    monkeypatch.setenv("GREENUP_WORKERS", "9")
    settings = load_settings()
    assert (settings.workers, settings.chunk_px) == (9, 512)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GREENUP_WORKERS", "0"),
        ("GREENUP_WORKERS", "many"),
        ("GREENUP_WORKERS", "-1"),
        ("GREENUP_CHUNK_PX", "63"),
        ("GREENUP_CHUNK_PX", "1e3"),
        ("GREENUP_MAX_RESULT_GIB", "0"),
        ("GREENUP_MAX_RESULT_GIB", "nan"),
        ("GREENUP_MAX_SCENES", "5.5"),
        ("GREENUP_CLUSTER_START_TIMEOUT_S", "-5"),
    ],
)
def test_a_bad_variable_is_refused_by_name_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        load_settings()
    assert name in str(caught.value)
    assert caught.value.field == name
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_an_env_file_that_is_no_text_is_refused() -> None:
    Path(".env").write_bytes(b"GREENUP_WORKERS=\xe9\n")
    with pytest.raises(InputError, match="UTF-8"):
        load_settings()


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENUP_HOME", "")
    monkeypatch.setenv("GREENUP_WORKERS", "")
    assert load_settings() == Settings()
    assert load_settings().home == default_home()


def test_a_password_in_the_index_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENUP_INDEX_URL", "postgresql://user:swordfish@host/index")
    settings = load_settings()
    assert "swordfish" not in repr(settings)
    assert settings.index_url is not None
    assert "swordfish" in settings.index_url.get_secret_value()


def test_home_is_where_the_system_keeps_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_home() == Path("/var/lib/greenup")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_home() == Path("/data/greenup")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/elsewhere/someone")
    assert default_home() == Path("/elsewhere/someone/.local/share/greenup")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().workers = 5  # type: ignore[misc]  # what the test refuses


@pytest.mark.parametrize(
    ("results", "location"),
    [
        (None, "{here}/home/results"),
        ("kept", "{here}/kept"),
        ("/mine/kept", "/mine/kept"),
        ("s3://bucket/kept", "s3://bucket/kept"),
    ],
)
def test_results_lie_at_the_same_place_for_every_process(tmp_path: Path, results: str | None, location: str) -> None:
    assert Settings(home=Path("home"), results=results).results_location == location.format(here=tmp_path)
