"""`spanmeter redrive` and what `spanmeter db` tells of rejected spans and missing records."""

import json
import subprocess
from collections.abc import Callable

from booking import event, metered, query
from otlp import llm_span, request
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.producers import Producer
from spanmeter.storage.rejected import RejectedSpan

Run = Callable[..., subprocess.CompletedProcess[str]]


def reject(dsn: str) -> None:
    """Two spans of which one can be metered by now, and something that is none."""
    good, bad = llm_span(), llm_span({"gen_ai.usage.input_tokens": -1})
    with LedgerWriter(dsn) as writer:
        writer.write(
            [],
            [
                RejectedSpan("meter_failed", "a fault", b"", b"", None, request([good])),
                RejectedSpan("bad_count", "negative", b"", b"", None, request([bad])),
                RejectedSpan("meter_failed", "a fault", b"", b"", None, b"no span"),
            ],
        )


def test_redrive_says_what_it_did(spanmeter: Run, plain_dsn: str) -> None:
    reject(plain_dsn)
    first = spanmeter("redrive", "--dry-run", "--dsn", plain_dsn)
    assert first.returncode == 0
    assert first.stdout == (
        "3 rejected spans: 1 would be booked, 0 are no calls, 2 would be rejected again"
        " (1 bad_count, 1 undecodable)\n"
    )
    second = spanmeter("redrive", "--dsn", plain_dsn)
    assert second.stdout == (
        "3 rejected spans: 1 booked, 0 are no calls, 2 rejected again (1 bad_count, 1 undecodable)\n"
    )
    third = spanmeter("redrive", "--reason", "bad_count", "--since", "1h", "--dsn", plain_dsn)
    assert third.stdout.startswith("1 rejected spans: 0 booked")
    assert query(plain_dsn, "SELECT count(*) FROM usage_events") == [(1,)]
    nothing = spanmeter("redrive", "--reason", "bad_cuont", "--dsn", plain_dsn)
    assert nothing.returncode == 2
    assert "no span was rejected for the reason 'bad_cuont'" in nothing.stderr
    assert "bad_count" in nothing.stderr
    wrong = spanmeter("redrive", "--since", "whenever", "--dsn", plain_dsn)
    assert wrong.returncode == 2


def test_status_tells_what_is_open_and_what_is_missing(spanmeter: Run, plain_dsn: str) -> None:
    reject(plain_dsn)
    with LedgerWriter(plain_dsn) as writer:
        writer.write(metered(event()), producers={"p": Producer("answers", 1, [1, 2, 5])})
    status = json.loads(spanmeter("db", "status", "--format", "json", "--dsn", plain_dsn).stdout)
    assert status["open_rejected_spans"] == "2 meter_failed, 1 bad_count"
    assert (status["producers"], status["missing_records"], status["dropped_records"]) == (1, 2, 1)


def test_producers_are_listed_with_what_is_missing(spanmeter: Run, plain_dsn: str) -> None:
    with LedgerWriter(plain_dsn) as writer:
        writer.write([], producers={"whole": Producer("a", 0, [1, 2, 3])})
        writer.write([], producers={"lacking": Producer("b", 0, [2])})
    shown = spanmeter("db", "producers", "--format", "json", "--dsn", plain_dsn).stdout
    rows = json.loads(shown)["rows"]
    assert [(row["producer_id"], row["highest"], row["missing"]) for row in rows] == [
        ("lacking", 2, 1),
        ("whole", 3, 0),
    ]


def test_a_journal_that_cannot_be_kept_is_said_before_anything_is_received(
    spanmeter: Run, plain_dsn: str
) -> None:
    refused = spanmeter("collector", "--dsn", plain_dsn, "--journal", "/proc/journal")
    assert refused.returncode == 2
    assert "the journal cannot be kept in /proc/journal/" in refused.stderr
    assert "--durability db" in refused.stderr
