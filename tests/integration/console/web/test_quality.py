"""Quality against cost: what is told over the API is kept once, and stands beside what the ledger says of the calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

import axe
from booking import adjust, event, metered, query
from browsing import Visit, exact, running_browser
from consoles import Client
from keys import make_key
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.ledger import LedgerWriter

pytestmark = pytest.mark.timeout(300)

# Model, what it scores in three calls, and what each of them costs.
MODELS = {
    "gpt-small": ((0.5, 0.6, 0.7), "0.001"),
    "gpt-large": ((0.9, 0.9, 0.96), "0.02"),
    "gpt-vain": ((0.8, 0.7, 0.6), "0.05"),
}


@pytest.fixture
def evaluator(url: str, ledger: str) -> Client:
    """A program with a key of the scope ingest."""
    return Client(url, make_key(ledger, name="evaluator").token)


@pytest.fixture
def calls(ledger: str) -> dict[str, list[UsageEvent]]:
    """Calls of three models, made yesterday."""
    made = {
        model: [
            event(
                time=datetime.now(UTC) - timedelta(hours=20, minutes=place),
                feature="answers",
                request_model=model,
                response_model=model,
                response_id=f"resp_{model}_{place}_0123456789",
                cost=Decimal(cost),
            )
            for place in range(len(scores))
        ]
        for model, (scores, cost) in MODELS.items()
    }
    with LedgerWriter(ledger) as writer:
        writer.write(metered(*(each for found in made.values() for each in found)))
    return made


def span_of(call: UsageEvent) -> dict[str, str]:
    return {"trace_id": call.trace_id.hex(), "span_id": call.span_id.hex()}


def tell(client: Client, *evaluations: dict[str, Any]) -> dict[str, int]:
    answer = client.send("POST", "/v1/evaluations", {"evaluations": list(evaluations)})
    assert answer.status_code == 200, answer.text
    told: dict[str, int] = answer.json()
    return told


@pytest.fixture
def scored(evaluator: Client, calls: dict[str, list[UsageEvent]]) -> None:
    """All of these calls have a score of relevance, half of them by the id of the response."""
    told = [
        {
            "name": "relevance",
            "score": score,
            "label": "good" if score > 0.65 else "poor",
            **({"response_id": call.response_id} if place % 2 else span_of(call)),
        }
        for model, (scores, _) in MODELS.items()
        for place, (score, call) in enumerate(zip(scores, calls[model], strict=True))
    ]
    assert tell(evaluator, *told) == {"recorded": 9, "known": 0}
    assert tell(evaluator, *told) == {"recorded": 0, "known": 9}


@pytest.mark.usefixtures("scored")
def test_quality_is_the_evaluations_and_cost_the_ledgers(operator: Client, ledger: str) -> None:
    found = operator.get("/v1/quality?by=model").json()
    assert (found["evaluation"], found["evaluated"]) == ("relevance", {"relevance": 9})
    rows = {row["dimensions"]["model"]: row for row in found["data"]}
    for model, (scores, cost) in MODELS.items():
        row, points = rows[model], sum(map(Decimal, map(str, scores)))
        assert Decimal(row["score"]) == pytest.approx(points / 3)
        assert Decimal(row["cost"]) == 3 * Decimal(cost)
        assert Decimal(row["cost_per_point"]) == pytest.approx(3 * Decimal(cost) / points)
    beaten = {model: row["dominated_by"] for model, row in rows.items()}
    assert beaten == {
        "gpt-small": None,
        "gpt-large": None,
        "gpt-vain": {"model": "gpt-large"},
    }
    lower = operator.get("/v1/quality?by=model&better=lower").json()["data"]
    assert [row["dimensions"]["model"] for row in lower if row["dominated_by"] is None] == [
        "gpt-small"
    ]
    costs = "SELECT sum(cost) FROM ledger WHERE feature = 'answers'"
    assert sum(Decimal(row["cost"]) for row in rows.values()) == query(ledger, costs)[0][0]


@pytest.mark.usefixtures("scored")
def test_a_corrected_cost_is_the_one_that_counts(
    operator: Client, ledger: str, calls: dict[str, list[UsageEvent]]
) -> None:
    call = calls["gpt-small"][0]
    adjust(
        ledger,
        time=call.time,
        cost=Decimal("0.000000000000000001"),
        adjusted_trace_id=call.trace_id,
        adjusted_span_id=call.span_id,
        adjusted_time=call.time,
    )
    rows = operator.get("/v1/quality?by=model").json()["data"]
    (cost,) = [row["cost"] for row in rows if row["dimensions"]["model"] == "gpt-small"]
    assert Decimal(cost) == Decimal("0.003000000000000001")


def test_one_call_with_several_evaluations_costs_once(
    operator: Client, evaluator: Client, calls: dict[str, list[UsageEvent]]
) -> None:
    call = span_of(calls["gpt-large"][0])
    judges = [{"name": "wit", "score": score, "id": f"judge {score}", **call} for score in (0, 1)]
    failed = {"name": "wit", "error_type": "timeout", **call}
    assert tell(evaluator, *judges, failed) == {"recorded": 3, "known": 0}
    # Known by its own name, whatever else it says now.
    assert tell(evaluator, {**judges[0], "score": 0.9}) == {"recorded": 0, "known": 1}
    (row,) = operator.get("/v1/quality?evaluation=wit").json()["data"]
    assert (row["calls"], row["evaluations"], row["failed"]) == (1, 3, 1)
    assert (Decimal(row["score"]), Decimal(row["cost"])) == (Decimal("0.5"), Decimal("0.02"))


def test_a_key_of_one_tenant_scores_its_own_calls_alone(
    url: str, operator: Client, ledger: str, calls: dict[str, list[UsageEvent]]
) -> None:
    globex = Client(url, make_key(ledger, "globex").token)
    told = {"name": "relevance", "score": 0, "id": "1", **span_of(calls["gpt-large"][0])}
    assert tell(globex, told) == {"recorded": 1, "known": 0}
    assert operator.get("/v1/quality").json()["data"] == []
    acme = Client(url, make_key(ledger, "acme").token)
    assert tell(acme, told) == {"recorded": 1, "known": 0}
    assert [row["calls"] for row in operator.get("/v1/quality").json()["data"]] == [1]


@pytest.mark.parametrize(
    ("told", "status", "what"),
    [
        ({"name": "x", "score": 1}, 400, "names a span, or the id of a response"),
        ({"name": "x", "response_id": "r"}, 400, "a score, a label, or the error"),
        ({"name": "x", "score": 1, "trace_id": "0" * 32}, 400, "trace_id and span_id, both"),
        ({"name": "x", "score": 1e10, "response_id": "r"}, 422, "less than or equal"),
        ({"name": "a\0b", "score": 1, "response_id": "r"}, 422, "pattern"),
    ],
)
def test_what_is_no_evaluation_is_refused(
    evaluator: Client, told: dict[str, Any], status: int, what: str
) -> None:
    answer = evaluator.send("POST", "/v1/evaluations", {"evaluations": [told]})
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert what in answer.json()["detail"]


def test_who_may_only_read_scores_nothing(url: str, ledger: str, acme: Client) -> None:
    reader = Client(url, make_key(ledger, scopes=("read",)).token)
    for client in (reader, acme):
        told = {"evaluations": [{"name": "x", "score": 1, "response_id": "r"}]}
        assert client.send("POST", "/v1/evaluations", told).status_code == 403
    assert query(ledger, "TABLE evaluations") == []


@pytest.mark.usefixtures("scored")
def test_the_page_shows_the_frontier(ledger: str, url: str) -> None:
    key = make_key(ledger, scopes=("admin",), name="operator").token
    with running_browser() as browser:
        for scheme in ("light", "dark"):
            visit = Visit(browser, url, "wide", scheme)
            visit.log_in(key)
            page = visit.open("/quality")
            rows = page.locator("table.frontier tbody tr")
            expect(rows).to_have_count(3)
            for model, (scores, cost) in MODELS.items():
                row = page.locator(f'table.frontier tr[data-name="{model}"]')
                assert exact(row.locator(".each")) == Decimal(cost)
                assert exact(row.locator(".score")) == pytest.approx(
                    Decimal(str(round(sum(scores) / 3, 10)))
                )
            vain = page.locator('tr[data-name="gpt-vain"]')
            expect(vain.get_by_text("beaten by gpt-large")).to_be_visible()
            assert axe.complaints(page) == []
            visit.picture("quality-frontier")
            assert visit.mishaps == []
            visit.context.close()
        _narrow(browser, url, key)


def _narrow(browser: Browser, url: str, key: str) -> None:
    visit = Visit(browser, url, "narrow")
    visit.log_in(key)
    page = visit.open("/quality")
    assert visit.overflow() == 0
    page.get_by_role("link", name="answers").first.click()
    expect(page.get_by_role("link", name="answers").first).to_have_attribute("aria-current", "true")
    visit.open("/quality?since=2020-01-01&until=2020-01-02")
    expect(page.get_by_text("Nothing was evaluated in this period.")).to_be_visible()
    assert visit.overflow() == 0
    assert visit.mishaps == []
    visit.context.close()
