"""What the collector answers about budgets: to whom, to what, and to nothing else."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Generator
from typing import Any

import pytest

from integration.budgets.conftest import Laid
from keys import make_key
from spanmeter.collector_receiver import CollectorSettings
from spanmeter.collector_receiver.server import Collector

ASK: dict[str, Any] = {"holder": "test", "known": "", "wallets": [], "models": [], "approvals": []}


def ask(
    collector: Collector, question: object, key: str | None = None, **headers: str
) -> tuple[int, Any]:
    """Status and answer."""
    body = question if isinstance(question, bytes) else json.dumps(question).encode()
    sent = {"content-type": "application/json", **headers}
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    url = f"http://{collector.addresses.http}/v1/spanmeter/budgets"
    request = urllib.request.Request(url, body, sent)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def wallet(budget: str, counter: str, asked: str = "1") -> dict[str, Any]:
    lease = "0" * 31 + "1"
    return {
        "budget": budget,
        "counter": counter,
        "into": lease,
        "leases": [{"id": lease, "window": None, "held": "0", "settled": False}],
        "asked": asked,
        "least": asked,
        "ahead": "0",
    }


@pytest.fixture
def asking(plain_dsn: str) -> Generator[Collector]:
    """A collector that asks for keys."""
    settings = CollectorSettings(
        dsn=plain_dsn,
        grpc="127.0.0.1:0",
        http="127.0.0.1:0",
        auth=True,
        seal_after=None,
        handlers=8,
    )
    with Collector(settings) as running:
        yield running


def test_a_key_sees_and_draws_on_its_own_tenants_budgets_alone(
    lay_down: Laid, asking: Collector, plain_dsn: str
) -> None:
    lay_down("acme", "10")
    lay_down("globex", "10", scope={"tenant.id": "globex"})
    lay_down("each", "10", scope={"tenant.id": "*"})
    lay_down("all", "10", scope={})
    question = {
        **ASK,
        "wallets": [
            wallet("acme", "{}"),
            wallet("globex", "{}"),
            wallet("all", "{}"),
            wallet("each", '{"tenant.id":"acme"}'),
            wallet("each", '{"tenant.id":"globex"}'),
            wallet("none", "{}"),
        ],
        "models": [["openai", "chat", "gpt-4o", "acme"], ["openai", "chat", "gpt-4o", "globex"]],
    }
    bound = make_key(plain_dsn, "acme").token
    status, answer = ask(asking, question, bound)
    assert status == 200
    assert {each["name"] for each in answer["budgets"]} == {"acme", "each"}
    assert {(each["budget"], each["counter"]) for each in answer["wallets"]} == {
        ("acme", "{}"),
        ("each", '{"tenant.id":"acme"}'),
    }
    assert [each["model"][3] for each in answer["rates"]] == ["acme"]
    assert ask(asking, {**ASK, "known": answer["version"]}, bound)[1].keys().isdisjoint({"budgets"})
    _, answer = ask(asking, question, make_key(plain_dsn).token)
    assert {each["name"] for each in answer["budgets"]} == {"acme", "globex", "each", "all"}
    assert ask(asking, question)[0] == 401
    assert ask(asking, question, make_key(plain_dsn, scopes=("read",)).token)[0] == 403


NO_QUESTIONS: list[Any] = [
    b"",
    b"{",
    b"[]",
    b"[" * 100_000,
    b'{"holder": 3}',
    {**ASK, "holder": "x" * 300},
    {**ASK, "wallets": {}},
    {**ASK, "wallets": [None] * 1001},
    {**ASK, "wallets": [wallet("acme", "[]")]},
    {**ASK, "wallets": [wallet("acme", '{"a":1}')]},
    {**ASK, "wallets": [wallet("acme", "{}", asked="NaN")]},
    {**ASK, "wallets": [wallet("acme", "{}", asked="-1")]},
    {**ASK, "wallets": [wallet("acme", "{}", asked="1e30")]},
    {**ASK, "wallets": [{**wallet("acme", "{}"), "into": "'; DROP TABLE budgets"}]},
    {**ASK, "models": [["openai", "chat", "gpt-4o"]]},
    {**ASK, "approvals": [{"budget": "acme"}]},
]


@pytest.mark.parametrize("question", NO_QUESTIONS)
def test_what_is_no_question_is_refused(collector: Collector, question: object) -> None:
    status, _ = ask(collector, question)
    assert status == 400
    assert ask(collector, ASK)[0] == 200


def test_a_question_has_a_size_and_a_form(collector: Collector) -> None:
    assert ask(collector, b" " * 1_100_000)[0] == 413
    assert ask(collector, ASK, **{"content-type": "application/x-protobuf"})[0] == 415


def test_rates_are_those_of_the_models(collector: Collector) -> None:
    models = [["openai", "chat", "gpt-4o", None], ["openai", "chat", "house-model", None]]
    _, answer = ask(collector, {**ASK, "models": models})
    known, unknown = answer["rates"]
    # 2.50 and 10 dollars a million tokens.
    assert known["cost"]["tokens"] == ["0.0000025", "0.00001"] * 2
    assert known["cost"]["currency"] == "USD"
    assert unknown["cost"] is None
    # Nobody asks for prices.
    assert "price" not in known


def test_rates_of_what_is_no_token(collector: Collector) -> None:
    models = [["openai", "speech", "tts-1", None], ["perplexity", "chat", "sonar", None]]
    _, answer = ask(collector, {**ASK, "models": models})
    speech, search = (each["cost"]["units"] for each in answer["rates"])
    # 15 dollars a million characters, and 12 a thousand requests.
    assert speech == {"input_characters": "0.000015"}
    assert search["requests"] == "0.012"


def test_counters_that_a_budget_does_not_have_are_not_lent(
    lay_down: Laid, collector: Collector
) -> None:
    lay_down("each", "10", scope={"tenant.id": "*"})
    wallets = [wallet("each", "{}"), wallet("each", '{"user.id":"u","tenant.id":"acme"}')]
    _, answer = ask(collector, {**ASK, "wallets": wallets})
    assert answer["wallets"] == []
