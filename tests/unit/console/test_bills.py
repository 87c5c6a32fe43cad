"""Providers' reports as they come, and what is no report."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spanmeter.console.bills import anthropic, aws, openai, table
from spanmeter.console.bills.documents import pages
from spanmeter.metering.reconciliation.bill import (
    CACHE_READ,
    CACHE_WRITE,
    CACHE_WRITE_1H,
    OUTPUT,
    UNCACHED_INPUT,
    BillLine,
    UnreadableBill,
)

DAY = date(2026, 10, 5)
START = 1791158400
"""Midnight of that day, UTC."""


def openai_bucket(*results: dict[str, Any]) -> dict[str, Any]:
    return {"object": "bucket", "start_time": START, "end_time": START + 86400, "results": results}


def cost(line_item: str | None, value: object) -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": value, "currency": "usd"},
        "line_item": line_item,
        "project_id": "proj_1",
    }


COMPLETIONS = {
    "object": "organization.usage.completions.result",
    "input_tokens": 1000,
    "input_cached_tokens": 300,
    "output_tokens": 50,
    "input_audio_tokens": 7,
    "output_audio_tokens": 0,
    "num_model_requests": 4,
    "project_id": "proj_1",
    "model": "gpt-5-2025-08-07",
    "batch": True,
    "service_tier": "default",
}


def page(*buckets: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"object": "page", "data": list(buckets), "has_more": False, "next_page": None, **more}


def of_openai(*results: dict[str, Any]) -> str:
    return json.dumps(page(openai_bucket(*results)))


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def file(content: str | bytes) -> Path:
        path = tmp_path / "bill"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return file


def test_openai_tells_costs_by_line_item_and_usage_by_model(file: Callable[[str], Path]) -> None:
    model = "gpt-5-2025-08-07"
    costs = of_openai(
        cost(f"{model}, input", 0.1),
        cost(f"{model}, cached input", 0.0123456789012),
        cost("web search tool calls", 2),
        cost(None, 3),
    )

    lines = openai.bill(pages([file(f"{costs}\n{of_openai(COMPLETIONS)}")])).lines

    def amount(model: str | None, kind: str | None, value: str) -> BillLine:
        return BillLine(DAY, model, kind, None, Decimal(value), "USD", "proj_1", None)

    assert lines[:4] == (
        amount(model, UNCACHED_INPUT, "0.1"),
        amount(model, CACHE_READ, "0.0123456789012"),
        amount(None, "web search tool calls", "2"),
        amount(None, None, "3"),
    )
    assert {(line.kind, line.quantity) for line in lines[4:]} == {
        (UNCACHED_INPUT, Decimal(700)),
        (CACHE_READ, Decimal(300)),
        (OUTPUT, Decimal(50)),
        ("audio_input_tokens", Decimal(7)),
    }
    assert {(line.model, line.account, line.tier) for line in lines[4:]} == {
        (model, "proj_1", "batch")
    }


def test_anthropic_tells_amounts_in_cents_and_quantities_apart(file: Callable[[str], Path]) -> None:
    opus = "claude-opus-4-1"
    costs = {
        "amount": "123.45",
        "currency": "USD",
        "cost_type": "tokens",
        "token_type": "cache_creation.ephemeral_1h_input_tokens",
        "model": opus,
        "service_tier": "batch",
        "workspace_id": "wrkspc_1",
        "description": "Claude Opus",
    }
    search = {"amount": "1", "currency": "USD", "cost_type": "web_search", "model": None}
    usage = {
        "uncached_input_tokens": 10,
        "cache_creation": {"ephemeral_1h_input_tokens": 20, "ephemeral_5m_input_tokens": 0},
        "cache_read_input_tokens": 30,
        "output_tokens": 40,
        "server_tool_use": {"web_search_requests": 5},
        "model": opus,
        "service_tier": "standard",
        "workspace_id": None,
    }
    bucket = {"starting_at": "2026-10-05T00:00:00Z", "results": [costs, search, usage]}

    lines = anthropic.bill(pages([file(json.dumps(page(bucket)))])).lines

    assert lines[0] == BillLine(
        *(DAY, opus, CACHE_WRITE_1H, None, Decimal("1.2345"), "USD", "wrkspc_1", "batch")
    )
    assert lines[1][:5] == (DAY, None, "web_searches", None, Decimal("0.01"))
    assert [(line.model, line.kind, line.quantity) for line in lines[2:]] == [
        (opus, UNCACHED_INPUT, Decimal(10)),
        (opus, CACHE_READ, Decimal(30)),
        (opus, CACHE_WRITE_1H, Decimal(20)),
        (opus, OUTPUT, Decimal(40)),
        (None, "web_searches", Decimal(5)),
    ]


CUR = """\
line_item_usage_start_date,line_item_product_code,line_item_line_item_type,line_item_usage_type,\
line_item_usage_amount,line_item_unblended_cost,line_item_currency_code,pricing_unit,\
line_item_usage_account_id,product
2026-10-05T03:00:00.000Z,AmazonBedrock,Usage,USE1-Nova2.0Lite-cache-read-input-token-count,2.5,0.0001,USD,1K tokens,111,
2026-10-05T04:00:00.000Z,AmazonBedrock,Usage,USE1-Nova2.0Lite-cache-write-input-token-count,1,0.0002,USD,1K tokens,111,
2026-10-05T04:00:00.000Z,AmazonBedrock,Usage,USE1-Claude4.5Sonnet-mantle-output-tokens-batch,1,7.5,USD,1M tokens,222,
2026-10-05T04:00:00.000Z,AmazonBedrock,Tax,,1,9,USD,,111,
2026-10-05T04:00:00.000Z,AmazonS3,Usage,Requests-Tier1,1,9,USD,Requests,111,
2026-10-05T05:00:00.000Z,xyz,Usage,USW2-MP:USW2_InputTokenCount-Units,3,0.75,USD,Units,111,\
"{""product_name"": ""Claude 3 Haiku (Amazon Bedrock Edition)""}"
"""


def test_aws_names_model_kind_and_tier_in_the_usage_type(file: Callable[[bytes], Path]) -> None:
    lines = aws.read([file(gzip.compress(CUR.encode()))], tokens_per_unit=1000).lines

    assert [line[:5] for line in lines] == [
        (DAY, "Nova2.0Lite", CACHE_READ, Decimal(2500), Decimal("0.0001")),
        (DAY, "Nova2.0Lite", CACHE_WRITE, Decimal(1000), Decimal("0.0002")),
        (DAY, "Claude4.5Sonnet", OUTPUT, Decimal(1_000_000), Decimal("7.5")),
        (DAY, "Claude 3 Haiku", UNCACHED_INPUT, Decimal(3000), Decimal("0.75")),
    ]
    assert [line.tier for line in lines] == ["standard", "standard", "batch", "standard"]
    assert [line.account for line in lines] == ["111", "111", "222", "111"]


def test_the_older_report_has_the_same_columns_under_other_names(
    file: Callable[[str], Path],
) -> None:
    old = (
        "lineItem/UsageStartDate,lineItem/ProductCode,lineItem/LineItemType,lineItem/UsageType,"
        "lineItem/UsageAmount,lineItem/UnblendedCost,pricing/unit\n"
        "2026-10-05T00:00:00Z,AmazonBedrock,Usage,EU-NovaPro-input-tokens,1,0.5,1K tokens\n"
    )

    (line,) = aws.read([file(old)]).lines

    assert line[:6] == (DAY, "NovaPro", UNCACHED_INPUT, Decimal(1000), Decimal("0.5"), "USD")


def test_a_unit_that_does_not_say_how_many_tokens_it_is_is_asked_for(
    file: Callable[[str], Path],
) -> None:
    told = r"line 7: the pricing unit 'Units' .* --tokens-per-unit"
    with pytest.raises(UnreadableBill, match=told):
        aws.read([file(CUR)])


def test_any_table_is_a_bill_once_its_headings_are_named(file: Callable[[str], Path]) -> None:
    text = (
        "Date,Model,Cost,tier\n2026-10-05,mistral-large,1.50,Batch\n2026-10-05,mistral-large,2,\n"
    )
    headings = {"day": "Date", "model": "Model", "amount": "Cost"}

    lines = table.read([file(text)], "mistral_ai", headings).lines

    assert [(line.model, line.amount, line.tier) for line in lines] == [
        ("mistral-large", Decimal("1.50"), "batch"),
        ("mistral-large", Decimal(2), "standard"),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no page of a report"),
        ('{"data": [{}]}', r"data\[0\] is no time bucket"),
        (of_openai({"object": "other"}), "neither costs nor usage"),
        (of_openai(cost("x", "1e")), "amount.value is '1e', which is no number"),
        (of_openai(cost("x", value=True)), "which is no number"),
        ('{"data": [{"start_time": NaN}]}', "NaN is no number"),
        (of_openai({**COMPLETIONS, "output_tokens": -1}), "cannot be below 0"),
        (of_openai({**COMPLETIONS, "input_tokens": 2}), "cannot be cached"),
        (b"\xff\xfe\x00", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_report_is_refused_with_its_place(
    file: Callable[[str | bytes], Path], content: str | bytes, told: str
) -> None:
    with pytest.raises(UnreadableBill, match=told):
        openai.bill(pages([file(content)]))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "has no line of headings"),
        ("day,amount\n2026-10-05\n", "line 2 has another number of columns"),
        ("day,amount\n5.10.2026,1\n", "line 2: day is '5.10.2026', which is no date"),
        ("day,amount\n2026-10-05,\n", "line 2 has neither a quantity nor an amount"),
        ("day,amount\n2026-10-05,1 EUR\n", "amount is '1 EUR', which is no number"),
        (b"\x1f\x8bnot gzip", "cannot be read|is no CSV file"),
        ('day,amount\n"2026', "is no CSV file"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(
    file: Callable[[str | bytes], Path], content: str | bytes, told: str
) -> None:
    with pytest.raises(UnreadableBill, match=told):
        table.read([file(content)], "openai", {})


def test_a_heading_that_is_not_there_is_named(file: Callable[[str], Path]) -> None:
    with pytest.raises(UnreadableBill, match="has no column 'Cost'; it has day, amount"):
        table.read([file("day,amount\n2026-10-05,1\n")], "openai", {"amount": "Cost"})
