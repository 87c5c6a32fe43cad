"""Frames survive whatever happens to the file around them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spanmeter.instrumentation.pipeline.frames import (
    HEADER_BYTES,
    MARKER,
    Kind,
    frame,
    frames,
    missing,
)

PAYLOADS = st.lists(st.binary(max_size=200) | st.just(MARKER * 3), max_size=8)


def payloads(data: bytes) -> list[bytes]:
    return [each.payload for each in frames(data)]


@given(st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 65535), st.binary(max_size=200))))
def test_frames_are_read_as_they_were_written(
    written: list[tuple[Kind, int, bytes]],
) -> None:
    data = b"".join(frame(*each) for each in written)
    read = list(frames(data))
    assert [(each.kind, each.scope, each.payload) for each in read] == written
    assert all(each.skipped == 0 for each in read)
    assert (read[-1].end if read else 0) == len(data)


@given(PAYLOADS, st.data())
def test_a_tail_that_is_torn_off_takes_only_its_frame(
    written: list[bytes], data: st.DataObject
) -> None:
    # Zeros after a frame that ends in zeros could make it whole again.
    written = [payload + b"\x01" for payload in written]
    framed = [frame(Kind.RECORD, 0, payload) for payload in written]
    whole = b"".join(framed)
    cut = data.draw(st.integers(0, len(whole)))
    survivors = [
        payload
        for index, payload in enumerate(written)
        if sum(map(len, framed[: index + 1])) <= cut
    ]
    # What was preallocated and never written is zeros.
    assert payloads(whole[:cut]) == survivors
    assert payloads(whole[:cut] + bytes(50)) == survivors


@given(PAYLOADS.filter(bool), st.data())
def test_a_damaged_byte_takes_only_its_frame(written: list[bytes], data: st.DataObject) -> None:
    framed = [frame(Kind.RECORD, 0, payload) for payload in written]
    victim = data.draw(st.integers(0, len(framed) - 1))
    at = data.draw(st.integers(0, len(framed[victim]) - 1))
    broken = bytearray(framed[victim])
    broken[at] ^= data.draw(st.integers(1, 255))
    read = payloads(b"".join((*framed[:victim], bytes(broken), *framed[victim + 1 :])))
    assert read == written[:victim] + written[victim + 1 :]


@given(st.binary(max_size=400))
def test_bytes_that_are_no_frames_are_none(data: bytes) -> None:
    assert payloads(data) == []


@given(st.binary(max_size=100), st.data())
def test_what_a_frame_lacks_is_known(payload: bytes, data: st.DataObject) -> None:
    whole = frame(Kind.RECORD, 1, payload)
    cut = data.draw(st.integers(len(MARKER), len(whole)))
    lacking = missing(whole[:cut], 0)
    assert lacking == (HEADER_BYTES - cut if cut < HEADER_BYTES else len(whole) - cut)


def test_a_length_that_cannot_be_lacks_nothing() -> None:
    assert missing(MARKER + b"\xff" * 12, 0) == 0
    assert missing(b"else", 0) == 0
