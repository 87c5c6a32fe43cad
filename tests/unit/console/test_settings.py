"""Flags win over SPANMETER_* variables, which win over the TOML file."""

from pathlib import Path

import pytest

from spanmeter.console.settings import InvalidSetting, Settings


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No spanmeter.toml of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_each_source_wins_over_the_next(tmp_path: Path) -> None:
    file = toml(tmp_path, 'dsn = "of-file"\ngrpc = "10.0.0.1:1"\nlog_level = "error"')
    environ = {"SPANMETER_DSN": "of-environment", "SPANMETER_GRPC": "10.0.0.2:2"}
    settings = Settings.read({"dsn": "of-flag", "grpc": None}, environ, file)
    assert settings.dsn == "of-flag"
    assert settings.grpc == "10.0.0.2:2"
    assert settings.log_level == "error"


def test_nothing_given_leaves_the_defaults() -> None:
    settings = Settings.read({}, {})
    assert settings == Settings()
    assert settings.dsn is None
    assert settings.grpc == "127.0.0.1:4317"


def test_an_empty_variable_is_one_that_was_not_given(tmp_path: Path) -> None:
    file = toml(tmp_path, 'dsn = "of-file"')
    assert Settings.read({}, {"SPANMETER_DSN": ""}, file).dsn == "of-file"


def test_the_file_of_the_working_directory_is_read_without_being_named(tmp_path: Path) -> None:
    (tmp_path / "spanmeter.toml").write_text('data = "here"')
    assert Settings.read({}, {}).data == Path("here")


def test_attribution_is_a_table_in_the_file_and_text_elsewhere(tmp_path: Path) -> None:
    file = toml(tmp_path, '[attribution]\ntenant = ["customer.id", "meta/customer"]')
    assert Settings.read({}, {}, file).attribution == {"tenant": ("customer.id", "meta/customer")}
    environ = {"SPANMETER_ATTRIBUTION": "tenant=team, resource:team; user = login"}
    told = {"tenant": ("team", "resource:team"), "user": ("login",)}
    assert Settings.read({}, environ, file).attribution == told


@pytest.mark.parametrize(
    ("flags", "environ", "said"),
    [
        ({"attribution": "tenants=a"}, {}, "--attribution: 'tenants' is not one of tenant, w"),
        ({"attribution": "tenant=resource:"}, {}, "--attribution: 'resource:' names no attribute"),
        ({"attribution": "tenant"}, {}, "--attribution: should be text"),
        ({"attribution": {"tenant": "a"}}, {}, "--attribution: should be a table of lists"),
        ({"attribution": 7}, {}, "--attribution: should be a table of lists"),
        ({"grpc": "4317"}, {}, "--grpc: '4317' is not HOST:PORT"),
        ({"grpc": "localhost:65536"}, {}, "--grpc: 'localhost:65536' is not HOST:PORT"),
        (
            {},
            {"SPANMETER_LOG_LEVEL": "loud"},
            "SPANMETER_LOG_LEVEL: 'loud' is not one of debug, info",
        ),
    ],
)
def test_a_value_that_cannot_be_used_names_where_it_was_given(
    flags: dict[str, object], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidSetting) as failure:
        Settings.read(flags, environ)
    assert str(failure.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('dns = "x"', "'dns' is not a setting; settings are dsn, data, grpc, http, "),
        ("dsn = 5", "dsn: should be text"),
        ("dsn = ", "is not TOML: "),
    ],
)
def test_a_file_that_cannot_be_used_names_file_and_key(
    tmp_path: Path, text: str, said: str
) -> None:
    file = toml(tmp_path, text)
    with pytest.raises(InvalidSetting) as failure:
        Settings.read({}, {}, file)
    assert str(failure.value).startswith(f"{file}: {said}")


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read: No such file"):
        Settings.read({}, {}, tmp_path / "absent.toml")


def test_the_repr_holds_no_password() -> None:
    assert "secret" not in repr(Settings(dsn="postgresql://me:secret@db/usage"))
