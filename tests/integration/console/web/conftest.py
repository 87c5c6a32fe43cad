"""A console over a month of three tenants (see `ledger`), and who may ask it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from datetime import timedelta

import pytest

from consoles import Client, serving
from keys import make_key
from spanmeter.console.web.settings import ConsoleSettings
from spanmeter.console.web.tokens import Tokens
from spanmeter.storage.connection import connect
from spanmeter.storage.console_access import signing_secrets


@pytest.fixture
def dsn(timescale_dsn: str) -> str:
    """What pages show is asked of rollups and views, which are tested on every edition."""
    return timescale_dsn


@pytest.fixture
def url(ledger: str) -> Generator[str]:
    """The console."""
    with serving(ConsoleSettings(dsn=ledger, frame_ancestors=("http://localhost:*",))) as address:
        yield address


@pytest.fixture
def operator(url: str, ledger: str) -> Client:
    """Somebody with a key of the scope admin."""
    return Client(url, make_key(ledger, scopes=("admin",), name="operator").token)


@pytest.fixture
def tokens(ledger: str) -> Tokens:
    """What signs as the console does."""

    def secrets() -> dict[str, bytes]:
        with closing(connect(ledger)) as connection:
            return dict(signing_secrets(connection))

    return Tokens(secrets)


@pytest.fixture
def acme(url: str, tokens: Tokens) -> Client:
    """The tenant acme, with a token of its own."""
    return Client(url, tokens.for_tenant("acme", timedelta(minutes=5)))
