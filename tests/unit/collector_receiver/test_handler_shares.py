"""No sender occupies every handler."""

from contextlib import ExitStack

import pytest

from spanmeter.collector_receiver.handler_shares import HandlerShares, TooManyAtOnce


def test_one_sender_may_have_three_quarters_and_another_finds_one_free() -> None:
    shares = HandlerShares(8)
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(shares.taken_by("A"))

        with pytest.raises(TooManyAtOnce, match="6 requests of A"), shares.taken_by("A"):
            pass
        with shares.taken_by("B"):
            pass

    with shares.taken_by("A"):
        pass


def test_a_single_handler_is_anybodys() -> None:
    with HandlerShares(1).taken_by("A"):
        pass
