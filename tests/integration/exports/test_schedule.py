"""Exports again and again: within `spanmeter up`, and by `spanmeter export run --every`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from billing.cloudevents import CloudEventsServer
from billing.server import Fault, Reply, served
from exports_fixtures import START, Exports, book, ledger_totals, values
from spanmeter.console.exports.schedule import exporting, scheduled_of

TARGET = """
[{name}]
kind = "cloudevents"
address = "{url}"
key_env = "{key}"
since = {since}
wait = "0m"
every = "1h"

[[{name}.meters]]
name = "input"
measure = "input_tokens"
"""


@pytest.fixture
def receiver(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> Generator[CloudEventsServer]:
    server = CloudEventsServer()
    with served(server):
        told = {"url": server.url, "since": f"{START:%Y-%m-%d}"}
        exports.configure(
            TARGET.format(**told, name="broken", key="NO_SUCH_KEY")
            + TARGET.format(**told, name="billing", key="BILLING_KEY")
        )
        for name, value in exports.variables.items():
            monkeypatch.setenv(name, value)
        yield server


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def told(exports: Exports, receiver: CloudEventsServer) -> Callable[[], bool]:
    return lambda: values(receiver.totals(), "input") == ledger_totals(exports.dsn)


def test_a_target_that_cannot_be_used_does_not_hold_up_another(
    exports: Exports, receiver: CloudEventsServer, caplog: pytest.LogCaptureFixture
) -> None:
    with exporting(exports.dsn, scheduled_of(exports.file)):
        wait_until(told(exports, receiver))

    assert "nothing was exported to broken" in caplog.text


def test_stopping_does_not_wait_for_a_target_that_asks_to_be_left_alone(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    receiver.faults.extend([Fault("before", Reply(429, headers={"retry-after": "3600"}))] * 9)
    with exporting(exports.dsn, scheduled_of(exports.file)):
        wait_until(lambda: len(receiver.requests) == 1)
        begun = time.monotonic()

    assert time.monotonic() - begun < 25
    receiver.faults.clear()
    exports.ran("billing")
    assert told(exports, receiver)()


def test_without_a_file_nothing_is_exported(exports: Exports, tmp_path: Path) -> None:
    assert scheduled_of(tmp_path / "none.toml") == []
    with exporting(exports.dsn, []):
        pass


@pytest.mark.parametrize(
    "command",
    [
        ["export", "run", "billing", "--every", "1h"],
        ["up", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--journal", "{journal}"],
    ],
    ids=["run", "up"],
)
def test_a_program_goes_on_until_it_is_stopped(
    exports: Exports, receiver: CloudEventsServer, tmp_path: Path, command: list[str]
) -> None:
    book(exports.dsn, "acme", 3, input_tokens=7)
    arguments = [each.format(journal=tmp_path / "journal") for each in command]
    program = str(Path(sys.executable).with_name("spanmeter"))
    with subprocess.Popen(
        [program, *arguments], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(told(exports, receiver))
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
        stopped = process.wait(timeout=60)

    assert stopped in (0, -signal.SIGTERM)
