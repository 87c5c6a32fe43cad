"""The room for bodies of HTTP requests: all of them together are bounded, and what was held is given back."""

from __future__ import annotations

import pytest

from spanmeter.collector_receiver.body_room import BodyRoom
from spanmeter.collector_receiver.refusals import TryAgain


def test_bodies_together_have_no_more_than_the_room() -> None:
    room = BodyRoom(100)
    with room.for_body() as first, room.for_body() as second:
        first(60)
        second(40)
        with pytest.raises(TryAgain):
            second(1)
        with pytest.raises(TryAgain):
            first(1)


def test_one_body_alone_is_taken_whatever_its_size() -> None:
    room = BodyRoom(100)
    with room.for_body() as only:
        only(60)
        only(60)


def test_what_a_body_held_is_free_when_it_is_answered_or_refused() -> None:
    room = BodyRoom(100)
    with room.for_body() as staying:
        staying(10)
        for _ in range(3):
            with room.for_body() as refused:
                refused(90)
                with pytest.raises(TryAgain):
                    refused(1)
        with room.for_body() as last:
            last(90)
