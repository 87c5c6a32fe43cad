"""What can be expected to go wrong is one sentence and an exit code, never a traceback."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

# Port 1 of this machine: nothing listens there.
AWAY = "postgresql://me:hunter2@127.0.0.1:1/usage"


def failed(run: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence of a command that failed as it should."""
    assert (run.returncode, run.stdout) == (code, "")
    assert run.stderr.startswith("Error: ")
    assert run.stderr.count("\n") == 1
    return run.stderr


@pytest.mark.parametrize("command", ["db init", "db migrate", "db status", "report", "up"])
def test_a_server_that_is_away_is_named_without_the_password(spanmeter: Run, command: str) -> None:
    sentence = failed(spanmeter(*command.split(), "--dsn", AWAY), 1)
    assert "127.0.0.1" in sentence
    assert "hunter2" not in sentence


def test_a_dsn_that_cannot_be_parsed_is_not_repeated(spanmeter: Run) -> None:
    sentence = failed(spanmeter("report", "--dsn", "hunter2 hunter2"), 2)
    assert "not a PostgreSQL connection string" in sentence
    assert "hunter2" not in sentence


def test_a_collector_wants_to_be_told_its_database(spanmeter: Run) -> None:
    assert "--dsn or SPANMETER_DSN" in failed(spanmeter("collector"), 2)


def test_a_report_does_not_make_an_embedded_ledger(spanmeter: Run, tmp_path: Path) -> None:
    sentence = failed(spanmeter("report", "--data", str(tmp_path / "absent")), 1)
    assert f"there is no embedded ledger in {tmp_path}/absent" in sentence
    assert not (tmp_path / "absent").exists()


def test_an_unknown_key_of_the_settings_file_is_named(spanmeter: Run, tmp_path: Path) -> None:
    (tmp_path / "spanmeter.toml").write_text('dns = "postgresql:///usage"')
    assert failed(spanmeter("report"), 2).startswith(
        "Error: spanmeter.toml: 'dns' is not a setting"
    )


def test_a_dimension_that_does_not_exist_lists_those_that_do(spanmeter: Run, dsn: str) -> None:
    refused = spanmeter("report", "--dsn", dsn, "--by", "tenant,colour")
    assert refused.returncode == 2
    assert "colour" in refused.stderr
    assert "feature" in refused.stderr


def test_help_and_version_need_no_database(spanmeter: Run) -> None:
    assert spanmeter("--version").stdout.startswith("spanmeter, version ")
    for command in ("", "up", "collector", "db", "db status", "report", "demo"):
        shown = spanmeter(*command.split(), "--help")
        assert shown.returncode == 0
        assert shown.stdout.startswith("Usage: spanmeter")
