"""Answers that are worked out beside requests: waited for in bounds, kept while they are worth it, and given up."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest

from spanmeter.console.web import worked_out
from spanmeter.console.web.worked_out import BeingWorkedOut, Noted, WorkedOut
from spanmeter.storage.errors import DatabaseUnavailable

PATIENT = 30.0


class Clock:
    """Every look at it takes so long."""

    def __init__(self, step: float) -> None:
        self._ticks = itertools.count(0.0, step)

    def monotonic(self) -> float:
        return next(self._ticks)


def counted() -> tuple[Callable[[str, Noted], str], list[str]]:
    """Something that can be worked out, and how often it was."""
    asked: list[str] = []

    def work(key: str, noted: Noted) -> str:
        noted()
        asked.append(key)
        return f"{key} {len(asked)}"

    return work, asked


def test_what_is_quick_is_worked_out_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worked_out, "time", Clock(0.01))
    work, asked = counted()
    held = WorkedOut(work)
    assert [held.read("a", PATIENT) for _ in range(3)] == ["a 1", "a 2", "a 3"]
    assert len(asked) == 3


def test_what_took_long_is_kept_for_a_multiple_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worked_out, "time", Clock(2.0))
    work, asked = counted()
    held = WorkedOut(work)
    # It took 2 s, so it is kept for 40: twenty looks at the clock.
    told = [held.read("a", PATIENT) for _ in range(40)]
    assert told[:10] == ["a 1"] * 10
    assert 1 < len(asked) < 10
    assert held.read("b", PATIENT).startswith("b")


def test_who_cannot_wait_is_told_how_far_it_is_and_gets_the_same_answer_later() -> None:
    begun, let_go = threading.Event(), threading.Event()

    def work(key: str, noted: Noted) -> str:
        noted()
        noted()
        begun.set()
        let_go.wait()
        return key

    held = WorkedOut(work)
    with pytest.raises(BeingWorkedOut):
        held.read("a", 0)
    begun.wait()
    with pytest.raises(BeingWorkedOut) as told:
        held.read("a", 0)
    assert told.value.steps == 2
    assert held.at_once("a") is None
    let_go.set()
    assert held.read("a", PATIENT) == "a"


def test_a_failure_reaches_who_asked_and_the_next_one_tries_again() -> None:
    outcomes = iter([DatabaseUnavailable("away"), None])

    def work(key: str, _: Noted) -> str:
        if (failure := next(outcomes)) is not None:
            raise failure
        return key

    held = WorkedOut(work)
    with pytest.raises(DatabaseUnavailable, match="away"):
        held.read("a", PATIENT)
    assert held.read("a", PATIENT) == "a"


def test_closing_ends_the_work_at_its_next_step() -> None:
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def work(key: str, noted: Noted) -> str:
        begun.set()
        let_go.wait()
        try:
            noted()
        finally:
            ended.set()
        return key

    held = WorkedOut(work)
    with pytest.raises(BeingWorkedOut):
        held.read("a", 0)
    begun.wait()
    held.close()
    let_go.set()
    assert ended.wait(PATIENT)
