"""What a process left is delivered by its like alone: the same service, to the same collector, with the same key."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from spanmeter.instrumentation.commands.answer import Answer
from spanmeter.instrumentation.commands.spool import spool as command
from spanmeter.instrumentation.doctor import spool as examination
from unit.instrumentation.pipeline.making import SERVICE, pipeline, record
from unit.instrumentation.pipeline.receivers import Receiver, grpc_receiver

UNNAMED = {"service.name": "unknown_service"}
STAGING = {**SERVICE, "deployment.environment.name": "staging"}
PRODUCTION = {**SERVICE, "deployment.environment.name": "production"}
OLD_KEY, NEW_KEY = "authorization=Bearer old-key", "authorization=Bearer new-key"


@pytest.fixture
def other() -> Generator[Receiver]:
    """A second collector."""
    with grpc_receiver() as receiver:
        yield receiver


def leave_behind(
    spool: Path, collector: Receiver, resource: dict[str, str] = SERVICE, **environ: str
) -> int:
    """A process makes a record while its collector is away, and is gone."""
    with collector.away():
        leaving = pipeline(spool, collector.address, resource, **environ)
        made = record(leaving)
        leaving.shutdown(0)
    return made


def run(
    spool: Path, collector: Receiver | str, resource: dict[str, str] = SERVICE, **environ: str
) -> int:
    """A process that delivers what is its own, and what it finds to be for it."""
    address = collector if isinstance(collector, str) else collector.address
    running = pipeline(spool, address, resource, **environ)
    running.adopt()
    made = record(running)
    if isinstance(collector, Receiver):
        # The thread takes what was left by turns with its own.
        assert running.flush(60)
    running.shutdown()
    return made


def flush(*arguments: str) -> tuple[list[dict[str, Any]], Answer]:
    answer = command.main(["flush", *arguments], standalone_mode=False)
    assert isinstance(answer, Answer)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows], answer


@pytest.mark.parametrize(
    ("first", "second"),
    [(STAGING, PRODUCTION), (UNNAMED, UNNAMED), (SERVICE, SERVICE)],
    ids=["staging and production", "unnamed", "one name"],
)
def test_each_sends_its_own_to_its_own_collector(
    first: dict[str, str], second: dict[str, str], spool: Path, collector: Receiver, other: Receiver
) -> None:
    left = leave_behind(spool, collector, first, SPANMETER_HEADERS=OLD_KEY)
    of_second = run(spool, other, second, SPANMETER_HEADERS=NEW_KEY)
    assert other.span_ids == [of_second]
    own = run(spool, collector, first, SPANMETER_HEADERS=OLD_KEY)
    collector.wait_for(lambda: sorted(collector.span_ids) == [left, own])
    assert {str(headers["authorization"]) for headers in collector.headers} == {"Bearer old-key"}
    assert {str(headers["authorization"]) for headers in other.headers} == {"Bearer new-key"}


def test_one_collector_and_two_keys(spool: Path, collector: Receiver) -> None:
    left = leave_behind(spool, collector, UNNAMED, SPANMETER_HEADERS=OLD_KEY)
    stranger = run(spool, collector, UNNAMED, SPANMETER_HEADERS=NEW_KEY)
    assert collector.span_ids == [stranger]
    own = run(spool, collector, UNNAMED, SPANMETER_HEADERS=OLD_KEY)
    collector.wait_for(lambda: sorted(collector.span_ids) == [left, stranger, own])


@pytest.mark.parametrize(
    "stranger",
    [
        PRODUCTION,
        {**STAGING, "service.namespace": "shop"},
        {**STAGING, "service.name": "answers!"},
        {**SERVICE, "deployment.environment": "test"},
    ],
    ids=["environment", "namespace", "name", "older name of environment"],
)
def test_another_service_leaves_it(
    stranger: dict[str, str], spool: Path, collector: Receiver
) -> None:
    left = leave_behind(spool, collector, STAGING)
    strangers = run(spool, collector, stranger)
    assert collector.span_ids == [strangers]
    # The same under its older name.
    own = run(spool, collector, {**SERVICE, "deployment.environment": "staging"})
    collector.wait_for(lambda: sorted(collector.span_ids) == [left, strangers, own])


def test_who_has_no_destination_delivers_nothing(
    spool: Path, collector: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    left = leave_behind(spool, collector)
    run(spool, "ftp://nowhere")
    run(spool, "ftp://nowhere")
    assert len(list(spool.glob("*/*.spool"))) == 3, "neither took the other's"
    assert collector.span_ids == []
    own = run(spool, collector)
    collector.wait_for(lambda: sorted(collector.span_ids) == [left, own])
    assert "spanmeter spool flush --spool answers-" in caplog.text


def test_a_rotated_key(
    spool: Path,
    collector: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the old key's processes left is said at start and by the doctor, and sent by hand with the new one."""
    left = leave_behind(spool, collector, STAGING, SPANMETER_HEADERS=OLD_KEY)
    (name,) = (path.name for path in spool.glob("answers-*"))
    new = run(spool, collector, STAGING, SPANMETER_HEADERS=NEW_KEY)
    assert collector.span_ids == [new]
    assert f"spool flush --spool {name} --any-destination" in caplog.text

    monkeypatch.setenv("SPANMETER_SPOOL", str(spool))
    monkeypatch.setenv("SPANMETER_ENDPOINT", collector.address)
    monkeypatch.setenv("SPANMETER_HEADERS", NEW_KEY)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "answers")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    found = [each for each in examination.examine() if each.level == "problem"]
    assert [each.subject for each in found] == [f"spool of {name}"]
    rows, answer = flush()
    assert {row["spool"]: row["waiting"] for row in rows}[name] == 1
    assert answer.exit_code == 1
    (note,) = answer.notes
    assert note.startswith(f"{name}: left, as it was recorded for {collector.address} with other")
    assert note.endswith("--any-destination sends it")
    assert collector.span_ids == [new]

    ((row,), answer) = flush("--spool", name, "--any-destination")
    assert (row["delivered"], row["waiting"], answer.exit_code) == (1, 0, 0)
    assert collector.span_ids == [new, left]
    assert collector.headers[-1]["authorization"] == "Bearer new-key"


def test_what_was_recorded_before_spools_had_origins_is_left_for_a_person(
    spool: Path, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave_behind(spool, collector)
    (directory,) = spool.glob("answers-*")
    (directory / "origin.json").write_text("[" * 100_000)
    monkeypatch.setenv("SPANMETER_SPOOL", str(spool))
    monkeypatch.setenv("SPANMETER_ENDPOINT", collector.address)
    ((row,), answer) = flush()
    assert (row["service"], row["waiting"], answer.exit_code) == (directory.name, 1, 1)
    assert flush("--service", directory.name, "--any-destination")[1].exit_code == 0
    assert collector.span_ids == [left]


def test_nothing_secret_is_written_down(spool: Path, collector: Receiver) -> None:
    leave_behind(
        spool,
        collector,
        SPANMETER_HEADERS="x-team=hunter2",
        SPANMETER_ENDPOINT=f"{collector.address}/in?token=hunter3",
    )
    (described,) = spool.glob("*/origin.json")
    assert "hunter" not in str(described) + described.read_text()
    assert json.loads(described.read_text())["endpoint"] == collector.address


def test_directories_of_old_keys_go_when_nothing_is_left_in_them(
    spool: Path, collector: Receiver
) -> None:
    run(spool, collector, SPANMETER_HEADERS=OLD_KEY)
    leave_behind(spool, collector, SPANMETER_HEADERS="authorization=older")
    run(spool, collector, STAGING)
    day_before = time.time() - 100_000
    for directory in spool.glob("answers-*"):
        if "staging" not in (directory / "origin.json").read_text():
            os.utime(directory, (day_before, day_before))
    run(spool, collector, SPANMETER_HEADERS=NEW_KEY)
    assert len(list(spool.glob("answers-*"))) == 3, "the old key's is gone, where there was nothing"
