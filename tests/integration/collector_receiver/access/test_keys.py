"""Who may send: a request without a right key is refused and logged, and nothing of it is stored (fault 17)."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import grpc
import pytest

import otlp
from booking import query
from collecting import Ledger
from keys import bearer, code_of, code_over, make_key, post, send
from spanmeter.collector_receiver import Collector, CollectorSettings, key_ring
from spanmeter.storage.api_keys import create_key, revoke_key, rotate_key
from spanmeter.storage.connection import connect

ANYWHERE = "127.0.0.1:0"
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
MADE_UP = f"smk_{'0' * 12}_{'0' * 64}"


def asks_for_keys(dsn: str) -> CollectorSettings:
    """Though only this machine can connect."""
    return CollectorSettings(dsn=dsn, grpc=ANYWHERE, http=ANYWHERE, auth=True)


@pytest.fixture
def guarded(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Generator[Collector]:
    """A collector that asks for keys, and tells of what it refused at once instead of every two seconds."""
    monkeypatch.setattr(key_ring, "INTERVAL", key_ring.SOONEST)
    with Collector(asks_for_keys(dsn)) as running:
        yield running


def http_of(collector: Collector) -> str:
    address = collector.addresses.http
    assert address is not None
    return address


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def logged(dsn: str, reason: str) -> list[tuple[str | None, str, int]]:
    """Key, peer and number of the refusals of this reason, once there are some."""
    found: list[tuple[str | None, str, int]] = []

    def look() -> bool:
        found[:] = query(
            dsn, "SELECT key_id, peer, attempts FROM access_log WHERE reason = %s", reason
        )
        return bool(found)

    eventually(look)
    return found


def test_fault_17_a_right_key_is_let_in_and_noted_with_each_row(
    guarded: Collector, dsn: str
) -> None:
    """One that was made a moment ago, too."""
    key = make_key(dsn)
    send(guarded.grpc_address, otlp.llm_request(2), *bearer(key.token))
    status, _, _ = post(
        http_of(guarded), otlp.llm_request(1), {"authorization": f"bearer {key.token}"}
    )
    assert status == 200
    assert Ledger(dsn).column("key_id") == [key.key_id] * 3
    assert guarded.counts.refused == 0


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "missing"),
        (f"Bearer {MADE_UP}", "unknown"),
        (MADE_UP, "malformed"),
        ("Basic c2VjcmV0OnNlY3JldA==", "malformed"),
        ("Bearer", "malformed"),
        (f"Bearer {MADE_UP}0", "malformed"),
        (f"Bearer {MADE_UP} {MADE_UP}", "malformed"),
        ("Bearer " + "x" * 4000, "malformed"),
    ],
)
def test_fault_17_what_is_no_key_is_refused_and_logged(
    guarded: Collector, dsn: str, header: str | None, reason: str
) -> None:
    metadata = [] if header is None else [("authorization", header)]
    assert code_of(guarded.grpc_address, otlp.llm_request(1), *metadata) == UNAUTHENTICATED
    status, headers, _ = post(http_of(guarded), otlp.llm_request(1), dict(metadata))
    assert status == 401
    assert headers["www-authenticate"] == 'Bearer realm="spanmeter"'
    assert sum(attempts for _, _, attempts in logged(dsn, reason)) >= 1
    assert guarded.counts.refused == 2
    assert Ledger(dsn).spans() == []


def test_fault_17_two_keys_are_none(guarded: Collector, dsn: str) -> None:
    key = bearer(make_key(dsn).token)
    assert code_of(guarded.grpc_address, otlp.llm_request(1), *key, *key) == UNAUTHENTICATED


def test_fault_17_headers_without_end_are_refused(guarded: Collector, dsn: str) -> None:
    huge = "Bearer " + "x" * 1_000_000
    refused = code_of(guarded.grpc_address, otlp.llm_request(1), ("authorization", huge))
    assert refused in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
    try:
        status, _, _ = post(http_of(guarded), otlp.llm_request(1), {"authorization": huge})
        assert status in {400, 401, 431}
    except OSError:
        pass  # cut off before all of it was sent
    key = make_key(dsn)
    send(guarded.grpc_address, otlp.llm_request(1), *bearer(key.token))
    assert len(Ledger(dsn).spans()) == 1


def test_fault_17_a_guess_at_a_known_key_is_refused_under_its_name(
    guarded: Collector, dsn: str
) -> None:
    key = make_key(dsn)
    send(guarded.grpc_address, otlp.llm_request(1), *bearer(key.token))
    guess = key.token[:-1] + ("0" if key.token[-1] != "0" else "1")
    assert code_of(guarded.grpc_address, otlp.llm_request(1), *bearer(guess)) == UNAUTHENTICATED
    assert logged(dsn, "unknown") == [(key.key_id, "ipv4:127.0.0.1", 1)]


def test_fault_17_an_expired_key_is_not_taken_again(guarded: Collector, dsn: str) -> None:
    with closing(connect(dsn)) as connection:
        soon = datetime.now(UTC) + timedelta(seconds=3)
        key = create_key(connection, "brief", scopes=["ingest"], expires_at=soon)
    send(guarded.grpc_address, otlp.llm_request(1), *bearer(key.token))
    eventually(lambda: code_of(guarded.grpc_address, b"", *bearer(key.token)) == UNAUTHENTICATED)
    assert datetime.now(UTC) >= soon
    assert logged(dsn, "expired")[0][0] == key.key_id


def test_fault_17_a_revoked_key_ends_within_seconds(dsn: str) -> None:
    """On a connection that stays open, too."""
    key = make_key(dsn)
    with (
        Collector(asks_for_keys(dsn)) as collector,
        grpc.insecure_channel(collector.grpc_address) as channel,
    ):
        assert code_over(channel, b"", *bearer(key.token)) == grpc.StatusCode.OK
        with closing(connect(dsn)) as connection:
            revoke_key(connection, key.key_id)
        revoked = time.monotonic()
        eventually(lambda: code_over(channel, b"", *bearer(key.token)) == UNAUTHENTICATED)
    assert time.monotonic() - revoked < 15
    assert logged(dsn, "revoked")[0][0] == key.key_id


def test_fault_17_a_rotated_key_works_as_long_as_was_said(guarded: Collector, dsn: str) -> None:
    old = make_key(dsn, "acme")
    with closing(connect(dsn)) as connection:
        new = rotate_key(connection, old.key_id, overlap=timedelta(hours=1))
        gone = rotate_key(connection, new.key_id, overlap=timedelta(0))
    for key in (old, gone):
        send(guarded.grpc_address, otlp.llm_request(1), *bearer(key.token))
    assert code_of(guarded.grpc_address, otlp.llm_request(1), *bearer(new.token)) == UNAUTHENTICATED
    assert query(dsn, "SELECT count(DISTINCT tenants) FROM api_keys") == [(1,)]


def test_fault_17_a_key_for_reading_may_not_send(guarded: Collector, dsn: str) -> None:
    key = make_key(dsn, scopes=("read", "admin"))
    denied = grpc.StatusCode.PERMISSION_DENIED
    assert code_of(guarded.grpc_address, otlp.llm_request(1), *bearer(key.token)) == denied
    status, headers, _ = post(
        http_of(guarded), otlp.llm_request(1), {"authorization": f"Bearer {key.token}"}
    )
    assert status == 403
    assert 'error="insufficient_scope"' in headers["www-authenticate"]
    assert logged(dsn, "scope")[0][0] == key.key_id


def test_a_flood_of_guesses_is_a_few_lines(guarded: Collector, dsn: str) -> None:
    for _ in range(60):
        code_of(guarded.grpc_address, b"", ("authorization", "Bearer nothing"))
    assert len(logged(dsn, "malformed")) <= 2


def test_no_secret_is_stored_or_logged(
    guarded: Collector, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = make_key(dsn, scopes=("read",))
    code_of(guarded.grpc_address, otlp.llm_request(1), *bearer(key.token))
    code_of(guarded.grpc_address, otlp.llm_request(1), ("authorization", key.token))
    logged(dsn, "scope")
    secret = key.token.removeprefix(key.key_id)
    stored = query(dsn, "SELECT api_keys::text FROM api_keys") + query(
        dsn, "SELECT access_log::text FROM access_log"
    )
    assert stored
    assert secret not in f"{stored}{caplog.text}"


def test_the_last_use_is_noted(dsn: str) -> None:
    key = make_key(dsn)
    with Collector(CollectorSettings(dsn=dsn, grpc=ANYWHERE, auth=True)) as collector:
        send(collector.grpc_address, otlp.llm_request(1), *bearer(key.token))
    ((used,),) = query(dsn, "SELECT last_used_at FROM api_keys")
    assert datetime.now(UTC) - used < timedelta(minutes=1)


def test_no_key_is_asked_for_where_only_this_machine_can_connect(dsn: str) -> None:
    """Unless it is told to: a proxy on this machine may bring others in."""
    for address, auth, needed in (
        ("127.0.0.1:4317", None, False),
        ("[::1]:4317", None, False),
        ("localhost:4317", None, False),
        ("0.0.0.0:4317", None, True),
        ("[::]:4317", None, True),
        ("collector.internal:4317", None, True),
        ("0.0.0.0:4317", False, False),
        ("127.0.0.1:4317", True, True),
    ):
        for settings in (
            CollectorSettings(dsn=dsn, grpc=address, auth=auth),
            CollectorSettings(dsn=dsn, http=address, auth=auth),
        ):
            assert settings.needs_key is needed


def test_being_asked_for_no_key_is_said_aloud(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    with Collector(CollectorSettings(dsn=dsn, grpc=ANYWHERE, auth=False)) as collector:
        send(collector.grpc_address, otlp.llm_request(1))
    assert "whoever reaches 127.0.0.1:0 can write usage of any tenant" in caplog.text
