"""`spanmeter spool status|flush`: works while processes live and when none does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from spanmeter.instrumentation.commands.answer import Answer
from spanmeter.instrumentation.commands.spool import spool as command
from spanmeter.instrumentation.pipeline import adopted
from unit.instrumentation.pipeline.making import pipeline, record
from unit.instrumentation.pipeline.receivers import Receiver, Reply


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, spool: Path) -> None:
    monkeypatch.setenv("SPANMETER_SPOOL", str(spool))
    monkeypatch.setenv("SPANMETER_ENDPOINT", "http://127.0.0.1:9")


def invoke(*arguments: str) -> tuple[list[dict[str, Any]], Answer]:
    """What the command answers, row by row."""
    answer = command.main(list(arguments), standalone_mode=False)
    assert isinstance(answer, Answer)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows], answer


def test_there_is_nothing_yet() -> None:
    rows, answer = invoke("status")
    assert rows == []
    assert answer.exit_code == 0
    assert invoke("flush", "--timeout", "1")[1].exit_code == 0


def test_living_and_dead_processes(spool: Path) -> None:
    gone = pipeline(spool)
    for _ in range(3):
        record(gone)
    gone.shutdown(0)
    ((row,), answer) = invoke("status")
    assert row.pop("oldest") is not None
    assert row.pop("bytes") > 0
    assert str(row.pop("spool")).startswith("answers-")
    assert row == {
        "service": "answers",
        "environment": None,
        "endpoint": "http://127.0.0.1:9",
        "living": 0,
        "waiting": 3,
        "dead": 0,
        "dropped": 0,
    }
    assert answer.about == {"directory": str(spool)}

    living = pipeline(spool)
    record(living)
    record(living, {"usage.raw": "x" * (5 << 20)})
    ((row,), answer) = invoke("status")
    # It may have adopted those of the other by now.
    assert row["living"] + row["waiting"] == 4
    assert row["living"] >= 1
    assert row["dropped"] == 1
    living.shutdown(0)
    assert invoke("status")[0][0]["waiting"] == 4


def test_flush_delivers_what_dead_processes_left(
    spool: Path, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPANMETER_ENDPOINT", collector.address)
    with collector.away():
        gone = pipeline(spool, collector.address)
        made = [record(gone) for _ in range(700)]
        gone.shutdown(0)
        ((row,), answer) = invoke("flush", "--timeout", "0.3")
    assert (row["delivered"], row["waiting"], answer.exit_code) == (0, 700, 1)
    assert "gRPC status 14" in answer.notes[0]

    ((row,), answer) = invoke("flush", "--service", "answers")
    assert collector.span_ids == made
    assert (row["delivered"], row["waiting"], answer.exit_code) == (700, 0, 0)


def test_refused_records_are_shown_and_can_be_sent_again(
    spool: Path, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPANMETER_ENDPOINT", collector.address)
    with collector.away():
        gone = pipeline(spool, collector.address)
        made = [record(gone) for _ in range(4)]
        gone.shutdown(0)
    collector.script = lambda _: Reply("INVALID_ARGUMENT", "no such unit")

    ((row,), answer) = invoke("flush")
    assert (row["refused"], row["waiting"], answer.exit_code) == (4, 0, 1)
    ((row,), answer) = invoke("status")
    assert (row["dead"], row["waiting"]) == (4, 0)
    assert answer.notes == [f"{row['spool']}: 4 refused: gRPC status 3: no such unit"]
    # What is refused again is not sent a third time.
    monkeypatch.setattr(adopted, "LOOK_EVERY", 0.0)
    ((row,), answer) = invoke("flush", "--dead", "--timeout", "20")
    assert (row["refused"], answer.exit_code) == (4, 1)
    assert invoke("status")[0][0]["dead"] == 4, "they are there once"

    collector.script = None
    ((row,), answer) = invoke("flush", "--dead")
    assert (row["delivered"], row["refused"], answer.exit_code) == (4, 0, 0)
    assert collector.span_ids == made
    assert invoke("status")[0][0]["dead"] == 0


def test_refused_records_that_there_is_no_room_for_stay_where_they_are(
    spool: Path, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPANMETER_ENDPOINT", collector.address)
    monkeypatch.setenv("SPANMETER_SPOOL_MAX_BYTES", "262144")
    with collector.away():
        gone = pipeline(spool, collector.address, SPANMETER_SPOOL_MAX_BYTES="262144")
        made = [record(gone, {"note": "x" * 1000}) for _ in range(150)]
        gone.shutdown(0)
    assert gone.status().dropped == 0
    collector.script = lambda _: Reply("INVALID_ARGUMENT", "no such unit")
    for dead in ((), ("--dead",)):
        assert invoke("flush", *dead)[1].exit_code == 1

    collector.script = None
    invoke("flush", "--dead")
    assert sorted(set(collector.span_ids)) == made


def test_a_service_that_is_not_there() -> None:
    with pytest.raises(click.BadParameter, match="holds none of 'other'"):
        invoke("flush", "--service", "other")
    with pytest.raises(click.BadParameter, match="holds none of 'other'"):
        invoke("flush", "--spool", "other")


def test_a_spool_that_cannot_be_read(spool: Path) -> None:
    spool.write_text("a file")
    with pytest.raises(click.ClickException, match="cannot read the spool"):
        invoke("status")
