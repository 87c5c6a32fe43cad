"""Telling a sender by its key: what it costs, and what the time it takes tells."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from spanmeter.collector_receiver.authentication import Authentication, only_loopback
from spanmeter.collector_receiver.key_ring import KeyRing
from spanmeter.collector_receiver.refusals import Refused
from spanmeter.collector_receiver.refused_attempts import MANY_PEERS, MOST, AttemptCounts
from spanmeter.storage.api_keys import ApiKey, digest_of

KEY_ID = f"smk_{'a' * 12}"
TOKEN = f"{KEY_ID}_{'0' * 64}"
KEY = ApiKey(
    KEY_ID,
    digest_of(TOKEN),
    frozenset({"ingest"}),
    frozenset({"acme"}),
    expires_at=None,
    revoked_at=None,
)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class KnownKeys(KeyRing):
    """A ring that knows one key, without a database."""

    def __init__(self) -> None:
        super().__init__("", AttemptCounts())
        self._keys = {KEY_ID: KEY}
        self._known_at = time.monotonic()


def authentication() -> Authentication:
    return Authentication(KnownKeys(), AttemptCounts(), at_once=1, hold=0)


def test_a_known_key_costs_less_than_20_microseconds() -> None:
    """The best of many rounds: others share the machine."""
    telling = authentication()
    rounds = 1000

    def of_one() -> float:
        began = time.process_time()
        for _ in range(rounds):
            telling.sender([f"Bearer {TOKEN}"], "ipv4:10.0.0.7")
        return (time.process_time() - began) / rounds

    assert min(of_one() for _ in range(10)) < 20e-6


def test_a_key_is_compared_by_digest_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it is right: the whole digests go to the comparison made for that."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("secrets.compare_digest", compare)
    for guess in (TOKEN[:-1] + "1", f"{KEY_ID}_{'f' * 64}"):
        with pytest.raises(Refused, match="not known"):
            authentication().sender([f"Bearer {guess}"], "peer")
    assert [{len(one), len(other)} for one, other in compared] == [{32}, {32}]
    assert all(one == digest_of(TOKEN) for one, _ in compared)


@pytest.mark.parametrize(
    "header",
    ["", " ", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN, "Bearer \0", "é"],
)
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(Refused, match="no key of this collector's"):
        authentication().sender([header], "peer")


@pytest.mark.parametrize("header", [f"bearer {TOKEN}", f"BEARER  {TOKEN}", f"Bearer {TOKEN} "])
def test_a_key_may_be_written_as_the_standard_lets_it(header: str) -> None:
    sender = authentication().sender([header], "peer")
    assert sender.turn == KEY_ID
    assert sender.grant == (KEY_ID, frozenset({"acme"}))


def test_attempts_are_told_at_once_and_then_by_the_minute() -> None:
    counts = AttemptCounts()
    counts.add("unknown", KEY_ID, "peer")
    (first,) = counts.due(NOW)
    counts.add("unknown", KEY_ID, "peer")
    counts.told([first], NOW)
    assert first.attempts == 1
    assert counts.due(NOW + timedelta(seconds=59)) == []
    (later,) = counts.due(NOW + timedelta(seconds=60))
    assert later.attempts == 1
    counts.told([later], NOW + timedelta(seconds=60))
    assert counts.due(NOW + timedelta(days=1)) == []


def test_attempts_from_everywhere_take_a_bounded_room() -> None:
    counts = AttemptCounts()
    for number in range(3 * MOST):
        counts.add("unknown", None, f"peer {number}")
    told = counts.due(NOW)
    assert len(told) == MOST + 1
    assert sum(each.attempts for each in told) == 3 * MOST
    assert {each.attempts for each in told if each.peer == MANY_PEERS} == {2 * MOST}


@pytest.mark.parametrize(
    ("address", "local"),
    [
        *[(f"{host}:1", True) for host in ("127.0.0.1", "127.8.8.8", "[::1]", "localhost")],
        *[(f"{host}:1", False) for host in ("10.255.0.1", "[::]", "10.0.0.7", "example.org", "")],
    ],
)
def test_which_addresses_only_this_machine_reaches(address: str, *, local: bool) -> None:
    assert only_loopback([address]) is local
    assert not only_loopback([address, "0.0.0.0:2"])
