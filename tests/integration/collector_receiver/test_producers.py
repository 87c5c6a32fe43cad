"""What arrived of each producer's numbered records, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import otlp
from booking import query
from otlp import Client, Value

GAPS = (
    "SELECT producer_id, service_name, highest, received, missing, dropped FROM producer_gaps"
    " ORDER BY producer_id"
)


def records(
    numbers: Iterable[int],
    attributes: Mapping[str, Value] | None = None,
    producer: str = "one",
    dropped: int = 0,
) -> bytes:
    """A request with records of these numbers."""
    resource: dict[str, Value] = {
        "service.name": "answers",
        "usage.producer.id": producer,
        "usage.producer.dropped": dropped,
    }
    numbered = ({"usage.producer.sequence": number, **(attributes or {})} for number in numbers)
    return otlp.request(map(otlp.llm_span, numbered), resource)


def test_gaps_are_seen_and_close_when_the_rest_arrives(dsn: str, client: Client) -> None:
    client.export(records([1, 2, 5]))
    client.export(records([9, 8], dropped=1))
    assert query(dsn, GAPS) == [("one", "answers", 9, 5, 4, 1)]

    client.export(records([3, 4, 7]))
    assert query(dsn, GAPS) == [("one", "answers", 9, 8, 1, 1)]


def test_what_is_given_up_is_told_without_a_record(dsn: str, client: Client) -> None:
    client.export(records([], producer="none arrived", dropped=3))
    client.export(records([1, 2, 4], dropped=1))
    client.export(records([], dropped=7))
    client.export(records([], dropped=6))
    assert query(dsn, GAPS) == [
        ("none arrived", "answers", 0, 0, 3, 3),
        ("one", "answers", 4, 3, 7, 7),
    ]


def test_a_request_that_tells_nothing_leaves_nothing(dsn: str, client: Client) -> None:
    client.export(b"")
    client.export(records([]))
    client.export(records([], producer="a\0b", dropped=1))
    client.export(records([], dropped=-1))
    assert query(dsn, GAPS) == []


def test_what_is_delivered_again_is_counted_once(dsn: str, client: Client) -> None:
    body = records(range(1, 11))
    for _ in range(3):
        client.export(body)
    client.export(records(range(1, 4), producer="two"))
    assert query(dsn, GAPS) == [("one", "answers", 10, 10, 0, 0), ("two", "answers", 3, 3, 0, 0)]


def test_a_record_that_cannot_be_metered_has_arrived(dsn: str, client: Client) -> None:
    client.export(records([1], {"gen_ai.usage.input_tokens": -1}))
    client.export(records([2], {"gen_ai.operation.name": "fetch_response"}))
    client.export(records([3]))
    assert query(dsn, GAPS) == [("one", "answers", 3, 3, 0, 0)]


def test_what_numbers_nothing_is_left_out(dsn: str, client: Client) -> None:
    client.export(records([0, -1, 2**60]))
    client.export(records([1], producer=""))
    client.export(records([1], producer="a\0b"))
    client.export(records([1], producer="x" * 200))
    assert query(dsn, GAPS) == []
    assert query(dsn, "SELECT count(*) FROM usage_events") == [(6,)]
