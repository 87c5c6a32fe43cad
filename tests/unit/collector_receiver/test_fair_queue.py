"""Senders take turns, and none fills the room that is there for all."""

import pytest

from spanmeter.collector_receiver.fair_queue import FairQueue, QueueFull
from spanmeter.collector_receiver.submission import ROW_BYTES, Submission
from spanmeter.storage.rejected import RejectedSpan

ROW = RejectedSpan("reason", "detail", bytes(16), bytes(8), None, b"")


def submission(sender: str, *, rows: int = 1, size: int = 0) -> Submission:
    """One that holds `size` bytes of memory, or as few as its rows do."""
    return Submission([], [ROW] * rows, bytes(max(0, size - ROW_BYTES * rows)), sender)


def queue_of(*senders: str, rows: int = 1) -> tuple[FairQueue, list[Submission]]:
    queue = FairQueue(10**9)
    submissions = [submission(sender, rows=rows) for sender in senders]
    for each in submissions:
        queue.add(each)
    return queue, submissions


def taken(queue: FairQueue, rows: int) -> str:
    return "".join(each.sender for each in queue.take(rows))


def test_senders_take_turns_and_each_keeps_its_order() -> None:
    queue, submissions = queue_of(*"AAAABAC")

    first, second = queue.take(4), queue.take(4)

    assert "".join(each.sender for each in first + second) == "ABCAAAA"
    assert [each for each in first + second if each.sender == "A"] == [
        each for each in submissions if each.sender == "A"
    ]
    assert not queue


def test_one_who_floods_delays_another_by_one_of_its_requests() -> None:
    queue, _ = queue_of(*"A" * 1000, "B")

    assert taken(queue, 2) == "AB"


def test_a_group_ends_before_its_rows_are_too_many_but_is_never_empty() -> None:
    queue, _ = queue_of(*"AB", rows=5)
    queue.add(submission("C", rows=50))

    assert taken(queue, 9) == "A"
    assert taken(queue, 10) == "B"
    assert taken(queue, 10) == "C"


def test_what_is_put_back_is_first_again() -> None:
    queue, _ = queue_of(*"ABACAB")

    queue.put_back(queue.take(4))

    assert queue.rows == 6
    assert taken(queue, 6) == "ABCABA"


def test_one_sender_leaves_room_for_others() -> None:
    queue = FairQueue(100_000)
    for _ in range(7):
        queue.add(submission("A", size=10_000))
    with pytest.raises(QueueFull, match="bytes of requests wait"):
        queue.add(submission("A", size=10_000))

    queue.add(submission("B", size=10_000))
    with pytest.raises(QueueFull):
        queue.add(submission("A", size=10_000))


def test_what_is_being_written_counts_until_it_is_released() -> None:
    queue = FairQueue(100_000)
    for _ in range(7):
        queue.add(submission("A", size=10_000))
    group = queue.take(1000)

    with pytest.raises(QueueFull):
        queue.add(submission("A", size=10_000))
    queue.release(group)

    queue.add(submission("A", size=10_000))


def test_all_senders_together_do_not_exceed_the_room() -> None:
    queue = FairQueue(100_000)
    accepted = 0
    for number in range(1000):
        try:
            queue.add(submission(f"sender {number}", size=3_000))
            accepted += 1
        except QueueFull:
            pass

    assert accepted * 3_000 <= 100_000


def test_an_empty_queue_takes_any_one_request() -> None:
    queue = FairQueue(1_000)

    queue.add(submission("A", size=50_000))

    with pytest.raises(QueueFull):
        queue.add(submission("B", size=3_000))


def test_rows_count_as_memory_however_few_bytes_they_had_on_the_wire() -> None:
    assert submission("A", rows=1000).size >= 1_000_000


def test_to_release_again_changes_nothing() -> None:
    queue, submissions = queue_of("A", "B")
    group = queue.take(1)
    for _ in range(3):
        queue.release(group)

    assert queue.bytes == submissions[1].size
    queue.release(submissions)
    assert queue.bytes == 0
