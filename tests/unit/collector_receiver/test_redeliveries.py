"""Requests that come again are recognised by their bytes and their sender."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanmeter.collector_receiver import redeliveries
from spanmeter.collector_receiver.ingest import Accepted
from spanmeter.collector_receiver.redeliveries import Redeliveries
from spanmeter.collector_receiver.responses import FULL_SUCCESS
from spanmeter.collector_receiver.submission import Rejection

BODY = bytes(range(256)) * 20


def accepted(spans: int = 3) -> Accepted:
    committed: Future[list[Rejection]] = Future()
    return Accepted(spans, committed, committed.result)


@pytest.fixture
def known() -> Redeliveries:
    return Redeliveries()


def test_a_request_under_way_is_found_by_its_sender_alone(known: Redeliveries) -> None:
    delivery = known.begin(BODY, "10.0.0.1", accepted())

    assert known.known(bytes(BODY), "10.0.0.1") is delivery
    assert known.known(BODY, "10.0.0.2") is None
    assert known.known(BODY[:-1], "10.0.0.1") is None


def test_bodies_that_look_alike_are_told_apart_under_way_and_later(known: Redeliveries) -> None:
    # Between two bytes of the sample.
    other = BODY[:1] + b"\xff" + BODY[2:]
    delivery = known.begin(BODY, "a", accepted())
    assert known.known(other, "a") is None

    second = known.begin(other, "a", accepted())
    known.expect(second)
    second.accepted.committed.set_result([])
    assert known.known(BODY, "a") is delivery
    assert known.known(other, "a") == FULL_SUCCESS

    delivery.accepted.committed.set_result([])
    assert known.known(BODY, "a") is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_answer_to_one_who_was_kept_waiting_is_remembered_with_its_rejections(
    known: Redeliveries, when: str
) -> None:
    delivery = known.begin(BODY, "a", accepted(3))
    steps: list[Callable[[], object]] = [
        lambda: known.expect(delivery),
        lambda: delivery.accepted.committed.set_result([Rejection("bad_count", "it is -1")]),
    ]
    for step in steps if when == "before" else reversed(steps):
        step()

    answer = known.known(BODY, "a")

    assert isinstance(answer, bytes)
    told = ExportTraceServiceResponse.FromString(answer).partial_success
    assert told.rejected_spans == 1
    assert "1 of 3 spans" in told.error_message


def test_what_could_not_be_committed_is_new_when_it_comes_again(known: Redeliveries) -> None:
    delivery = known.begin(BODY, "a", accepted())
    known.expect(delivery)

    delivery.accepted.committed.set_exception(RuntimeError("the collector stopped"))

    assert known.known(BODY, "a") is None


def test_the_oldest_answers_make_room(known: Redeliveries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redeliveries, "MOST", 2)
    bodies = [bytes([number]) * 100 for number in range(3)]
    for body in bodies:
        delivery = known.begin(body, "a", accepted())
        known.expect(delivery)
        delivery.accepted.committed.set_result([])

    assert [known.known(body, "a") for body in bodies] == [None, FULL_SUCCESS, FULL_SUCCESS]
