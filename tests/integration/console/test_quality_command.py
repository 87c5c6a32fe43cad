"""`spanmeter quality`: what calls scored beside what they cost, and which another beats."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from subprocess import CompletedProcess

from booking import event, metered
from spanmeter.metering.evaluation import evaluation
from spanmeter.storage.evaluations import Scored
from spanmeter.storage.ledger import LedgerWriter

Run = Callable[..., CompletedProcess[str]]


def test_quality_is_listed_by_feature_and_model(dsn: str, spanmeter: Run) -> None:
    nothing = spanmeter("quality", "--dsn", dsn)
    assert (nothing.returncode, "nothing was evaluated" in nothing.stderr) == (1, True)
    now = datetime.now(UTC) - timedelta(hours=1)
    good, bad = (
        event(time=now, feature="search", response_model=model, cost=Decimal(cost))
        for model, cost in (("good", "0.001"), ("bad", "0.002"))
    )
    scored = [
        Scored(
            evaluation(
                "relevance",
                score=Decimal(score),
                label=None,
                error_type=None,
                span=(call.trace_id, call.span_id),
                response_id=None,
                time=now,
            ),
            "otlp",
        )
        for call, score in ((good, 1), (bad, "0.5"))
    ]
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(good, bad), evaluations=scored).evaluations == 2
        assert writer.write((), evaluations=scored).evaluations == 0
    shown = spanmeter("quality", "--dsn", dsn, "--format", "json")
    rows = json.loads(shown.stdout)["rows"]
    assert [(row["model"], row["dominated_by"]) for row in rows] == [
        ("bad", "good"),
        ("good", None),
    ]
    assert Decimal(rows[0]["cost_per_point"]) == Decimal("0.004")
    table = spanmeter("quality", "--dsn", dsn).stdout.splitlines()
    assert table[0].split() == ["evaluation", "relevance"]
    refused = spanmeter("quality", "--dsn", dsn, "--by", "callsite")
    assert refused.returncode == 2
    assert "there is no dimension 'callsite'" in refused.stderr
