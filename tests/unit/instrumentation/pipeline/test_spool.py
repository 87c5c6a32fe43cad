"""What is on disk is delivered, by whichever process comes, and what there is no place for is counted."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanmeter.instrumentation.pipeline.segment import HEADER_BYTES
from unit.instrumentation.pipeline.making import pipeline, record
from unit.instrumentation.pipeline.receivers import Receiver, Reply, plain


def left(spool: Path) -> list[Path]:
    """The segments of the service."""
    return sorted(spool.glob("answers-*/*.spool"))


def size(spool: Path) -> int:
    return sum(path.stat().st_size for path in spool.rglob("*.spool"))


def replace(segment: Path, data: bytes | bytearray) -> None:
    """At once, as nobody may see half of it."""
    other = segment.with_suffix(".other")
    other.write_bytes(data)
    other.rename(segment)


def producers(request: ExportTraceServiceRequest) -> set[object]:
    return {plain(each.resource.attributes)["usage.producer.id"] for each in request.resource_spans}


def leave_behind(spool: Path, records: int, collector: Receiver) -> list[int]:
    """A process makes records while the collector is away, and is gone."""
    with collector.away():
        leaving = pipeline(spool, collector.address)
        made = [record(leaving) for _ in range(records)]
        leaving.shutdown(0)
    return made


def test_the_next_process_delivers_what_was_left(spool: Path, collector: Receiver) -> None:
    first = leave_behind(spool, 700, collector)
    second = leave_behind(spool, 3, collector)
    assert len(left(spool)) == 2

    sending = pipeline(spool, collector.address)
    third = record(sending)
    collector.wait_for(lambda: len(collector.arrived) >= 704)
    sending.shutdown()

    assert sorted(collector.span_ids) == sorted([*first, *second, third])
    producers = {each.resource["usage.producer.id"] for each in collector.arrived}
    assert len(producers) == 3
    assert left(spool) == []


def test_the_spool_is_for_its_user_alone(spool: Path, collector: Receiver) -> None:
    leave_behind(spool, 1, collector)
    (segment,) = left(spool)
    assert stat.S_IMODE(segment.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(segment.stat().st_mode) == 0o600


def test_a_torn_tail_and_a_damaged_record_take_no_other_along(
    spool: Path, collector: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    made = leave_behind(spool, 10, collector)
    (segment,) = left(spool)
    data = bytearray(segment.read_bytes().rstrip(b"\0"))
    data[len(data) // 2] ^= 0xFF
    replace(segment, data[:-5])

    sending = pipeline(spool, collector.address)
    last = record(sending)
    collector.wait_for(lambda: len(collector.arrived) >= 9)
    sending.shutdown()

    assert last in collector.span_ids
    delivered = [span_id for span_id in collector.span_ids if span_id != last]
    assert delivered == [span_id for span_id in made[:-1] if span_id in delivered]
    assert len(delivered) == 8
    assert caplog.text.count(f"{segment} is damaged") == 1


@pytest.mark.parametrize("content", [b"", b"rubbish", bytes(HEADER_BYTES), bytes(5000)])
def test_what_is_no_segment_is_put_aside(
    spool: Path, collector: Receiver, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    leave_behind(spool, 1, collector)
    directory = left(spool)[0].parent
    replace(directory / "1-1-1.spool", content)
    sending = pipeline(spool, collector.address)
    record(sending)
    collector.wait_for(lambda: len(collector.arrived) >= 2)
    sending.shutdown()
    assert [path.name for path in (directory / "dead").iterdir()] == ["1-1-1.spool.unreadable"]
    assert "no records that can be read" in caplog.text


def test_what_was_acknowledged_is_not_sent_again(spool: Path, collector: Receiver) -> None:
    made = leave_behind(spool, 1500, collector)
    (segment,) = left(spool)
    copy = segment.read_bytes()
    sending = pipeline(spool, collector.address)
    record(sending)
    collector.wait_for(lambda: len(collector.arrived) >= 1501)
    sending.shutdown()

    # Replayed on purpose: the same ids once more.
    replace(segment, copy)
    again = pipeline(spool, collector.address)
    record(again)
    collector.wait_for(lambda: len(collector.arrived) >= 3002)
    again.shutdown()
    assert sorted(collector.span_ids)[: 2 * len(made)] == sorted(made * 2)


def test_a_living_process_keeps_its_segment(spool: Path, collector: Receiver) -> None:
    with collector.away():
        living = pipeline(spool, collector.address)
        kept = record(living)
        own = living.status().producer_id
        collector.script = lambda sent: Reply("UNAVAILABLE") if producers(sent) == {own} else None
    sending = pipeline(spool, collector.address)
    sent = record(sending)
    assert sending.flush(60)
    assert collector.span_ids == [sent]
    collector.script = None
    living.shutdown(0)
    collector.wait_for(lambda: kept in collector.span_ids)
    sending.shutdown()


def test_a_full_spool_drops_counts_and_tells(
    spool: Path, collector: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    bound = 512 * 1024
    # What one page of a process that can only count is allowed beyond it.
    with collector.away():
        full = pipeline(spool, collector.address, SPANMETER_SPOOL_MAX_BYTES=str(bound))
        made = [record(full, {"usage.raw": "x" * 1000}) for _ in range(1000)]
        status = full.status()
        assert 0 < status.dropped < 1000
        assert status.kept + status.dropped == 1000
        assert size(spool) <= bound + 4096
        assert "usage records of this process are lost" in caplog.text
        full.shutdown(0)

    sending = pipeline(spool, collector.address, SPANMETER_SPOOL_MAX_BYTES=str(bound))
    record(sending)
    collector.wait_for(lambda: collector.dropped.get(str(status.producer_id)) == status.dropped)
    sending.shutdown()
    of_first = [
        each
        for each in collector.arrived
        if each.resource["usage.producer.id"] == status.producer_id
    ]
    sequences = {plain(each.span.attributes)["usage.producer.sequence"] for each in of_first}
    assert len(sequences) == len(of_first) == status.kept
    assert {*map(int, sequences)} <= {*range(1, 1001)}
    assert {int.from_bytes(each.span.span_id, "big") for each in of_first} <= {*made}


def test_the_bound_holds_for_all_processes_together(spool: Path) -> None:
    bound = 1024 * 1024
    pipelines = [pipeline(spool, SPANMETER_SPOOL_MAX_BYTES=str(bound)) for _ in range(4)]
    for _ in range(500):
        for each in pipelines:
            record(each, {"usage.raw": "x" * 1000})
    assert size(spool) <= bound + 4 * 4096
    assert all(each.status().kept for each in pipelines)
    assert sum(each.status().kept for each in pipelines) > 500
    for each in pipelines:
        each.shutdown(0)


def test_a_spool_that_has_room_again_takes_records_again(spool: Path, collector: Receiver) -> None:
    sending = pipeline(spool, collector.address, SPANMETER_SPOOL_MAX_BYTES=str(512 * 1024))
    while not sending.status().dropped:
        record(sending, {"usage.raw": "x" * 4000})
    assert not sending.flush(0)
    collector.wait_for(lambda: len(collector.arrived) == sending.status().kept)
    dropped = sending.status().dropped
    assert sending.flush(60)
    for _ in range(50):
        record(sending)
        assert sending.flush(60)
    assert sending.status().dropped == dropped
    assert collector.dropped == {sending.status().producer_id: dropped}
    sending.shutdown()


def test_a_loss_is_told_though_no_record_follows(spool: Path, collector: Receiver) -> None:
    sending = pipeline(spool, collector.address)
    record(sending, {"usage.raw": "x" * (5 << 20)})
    collector.wait_for(lambda: bool(collector.requests))
    assert collector.dropped == {sending.status().producer_id: 1}
    assert collector.arrived == []
    assert sending.flush(10)
    sending.shutdown()
    assert left(spool) == []


def test_where_nothing_can_be_written_memory_has_to_do(
    spool: Path, collector: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    spool.write_text("a file, where the directory should be")
    sending = pipeline(spool, collector.address)
    made = record(sending)
    status = sending.status()
    assert status.spool is None
    assert status.problem is not None
    assert "do not survive this process" in caplog.text
    assert sending.flush(60)
    assert collector.span_ids == [made]
    sending.shutdown()


def test_memory_first_then_disk_once_the_collector_is_away(spool: Path) -> None:
    sending = pipeline(spool, SPANMETER_WRITE_AHEAD="false")
    for _ in range(10):
        record(sending)
    assert size(spool) == 0
    assert not sending.flush(0.5)
    assert size(spool) > 0
    for _ in range(10):
        record(sending)
    assert sending.status().pending == 20
    sending.shutdown(0)


def test_memory_first_then_disk_where_the_collector_is_slow(
    spool: Path, collector: Receiver
) -> None:
    collector.replies.append(Reply(delay=3.0))
    sending = pipeline(spool, collector.address, SPANMETER_WRITE_AHEAD="false")
    made = [record(sending)]
    collector.wait_for(lambda: collector.asked == 1)
    made += [record(sending, {"note": "x" * 1024 * 1024}) for _ in range(20)]
    assert sending.status().dropped == 0
    assert sending.flush(60)
    assert sorted(set(collector.span_ids)) == made
    sending.shutdown()


def test_nobody_waits_twice_for_a_collector_at_the_end(spool: Path, collector: Receiver) -> None:
    collector.replies.append(Reply("UNAVAILABLE", delay=6.0))
    sending = pipeline(spool, collector.address)
    record(sending)
    sending.shutdown(0.2)
    began = time.monotonic()
    sending.shutdown(60)
    assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("write_ahead", ["true", "false"])
def test_what_is_recorded_after_the_end_waits_for_the_next(
    spool: Path, collector: Receiver, write_ahead: str
) -> None:
    ended = pipeline(spool, collector.address, SPANMETER_WRITE_AHEAD=write_ahead)
    first = record(ended)
    ended.shutdown()
    second = record(ended)
    ended.shutdown()
    assert collector.span_ids == [first, second], "its second end delivers it"
    third = record(ended)
    sending = pipeline(spool, collector.address)
    fourth = record(sending)
    assert sending.flush(60)
    assert collector.span_ids == [first, second, fourth], "the segment's owner lives"
    ended.shutdown(0)
    assert sorted(collector.span_ids) == [first, second, third, fourth]
    sending.shutdown()


def test_two_processes_adopt_at_once(spool: Path, collector: Receiver) -> None:
    made = [span_id for _ in range(20) for span_id in leave_behind(spool, 20, collector)]
    both = [pipeline(spool, collector.address) for _ in range(2)]
    news = [record(each) for each in both]
    collector.wait_for(lambda: len(collector.arrived) >= 402)
    for each in both:
        each.shutdown()
    assert sorted(collector.span_ids) == sorted(made + news), "each was delivered by one"
    assert left(spool) == []


def test_a_record_can_be_made_to_wait_for_the_disk(spool: Path, collector: Receiver) -> None:
    sending = pipeline(spool, collector.address, SPANMETER_SPOOL_SYNC="always")
    made = [record(sending) for _ in range(5)]
    assert sending.flush(60)
    assert collector.span_ids == made
    sending.shutdown()


def test_a_disk_that_does_not_confirm_counts_no_record_twice(
    spool: Path, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is kept in memory, and what was written of it is written over."""
    confirm = os.fdatasync
    refusing = [True]

    def confirmed(descriptor: int) -> None:
        if refusing:
            raise OSError("the disk does not answer")
        confirm(descriptor)

    monkeypatch.setattr(os, "fdatasync", confirmed)
    with collector.away():
        sending = pipeline(spool, collector.address, SPANMETER_SPOOL_SYNC="always")
        made = [record(sending) for _ in range(5)]
        assert sending.status().pending == 5
    assert sending.flush(60)
    refusing.clear()
    made += [record(sending) for _ in range(5)]
    assert sending.flush(60)
    status = sending.status()
    assert (status.kept, status.pending, status.delivered, status.dropped) == (10, 0, 10, 0)
    assert collector.span_ids == made
    sending.shutdown()


def test_a_segment_without_a_name_is_cleaned_away(spool: Path, collector: Receiver) -> None:
    """What a process left that died while it made a segment; not what one is making now."""
    leave_behind(spool, 1, collector)
    old, new = (left(spool)[0].parent / f"{n}-1-1.new" for n in (1, 2))
    old.touch()
    new.touch()
    os.utime(old, (1, 1))
    sending = pipeline(spool, collector.address)
    record(sending)
    collector.wait_for(lambda: len(collector.arrived) >= 2)
    sending.shutdown()
    assert not old.exists()
    assert new.exists()
