"""Amazon Bedrock's part of an AWS Cost and Usage Report (CUR 2.0, or the older one) as CSV, gzipped or not.

Each kind of token is a line of its own; its usage type names the model, the kind and the service tier:
`USE1-Nova2.0Lite-cache-read-input-token-count`. Models of the Marketplace are named by the product.
Source: docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html and
docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2.html.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from spanmeter.console.bills.documents import decimal
from spanmeter.console.bills.table import day_of, records
from spanmeter.metering.reconciliation.bill import (
    CACHE_READ,
    CACHE_WRITE,
    OUTPUT,
    STANDARD,
    UNCACHED_INPUT,
    Bill,
    BillLine,
    UnreadableBill,
)

PROVIDER: Final = "aws.bedrock"

USAGE_LINES: Final = frozenset({"Usage", "DiscountedUsage", "SavingsPlanCoveredUsage"})
"""Types of line item that are charges for use; taxes, credits and fees belong to no call."""

KINDS: Final = (
    (re.compile(r"cache-?read", re.IGNORECASE), CACHE_READ),
    (re.compile(r"cache-?write", re.IGNORECASE), CACHE_WRITE),
    (re.compile(r"input-?token", re.IGNORECASE), UNCACHED_INPUT),
    (re.compile(r"output-?token", re.IGNORECASE), OUTPUT),
)
"""In this order: what is read from a cache is called an input token too."""

TIERS: Final = ("batch", "priority", "flex")

REGION: Final = re.compile(r"^(?:[A-Z]{2,4}\d?-)?(?:MP:)?(?:[A-Z]{2,4}\d?[-_])?")
EDITION: Final = re.compile(r"\s*\(Amazon Bedrock Edition\)\s*$")

TOKENS_OF_UNIT: Final = {
    "tokens": 1,
    "token": 1,
    "1k tokens": 1000,
    "1000 tokens": 1000,
    "thousand tokens": 1000,
    "1m tokens": 1_000_000,
    "million tokens": 1_000_000,
}


def read(paths: Iterable[Path], *, tokens_per_unit: int | None = None) -> Bill:
    """The bill in these files. `tokens_per_unit` is for lines whose pricing unit does not say it.

    Raises `UnreadableBill`.
    """
    lines = [
        line
        for path in paths
        for where, row in records(path)
        if (line := _line(where, _named(row), tokens_per_unit)) is not None
    ]
    return Bill(PROVIDER, tuple(lines))


def _named(row: Mapping[str, str]) -> dict[str, str]:
    """The columns under the names of CUR 2.0: `lineItem/UsageType` is `line_item_usage_type`."""
    return {
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.replace("/", "_")).lower(): value
        for name, value in row.items()
    }


def _line(where: str, row: Mapping[str, str], tokens_per_unit: int | None) -> BillLine | None:
    product = _product(row)
    code = row.get("line_item_product_code", "")
    if "bedrock" not in f"{code} {product} {row.get('product_servicecode', '')}".lower():
        return None
    if row.get("line_item_line_item_type", "Usage") not in USAGE_LINES:
        return None
    usage_type = row.get("line_item_usage_type", "")
    model, kind, tier = _usage_type(usage_type, EDITION.sub("", product))
    return BillLine(
        day=day_of(
            row.get("line_item_usage_start_date", ""), f"{where}: line_item_usage_start_date"
        ),
        account=row.get("line_item_usage_account_id") or None,
        model=model,
        kind=kind,
        quantity=_quantity(where, row, kind, tokens_per_unit),
        amount=decimal(row.get("line_item_unblended_cost"), f"{where}: line_item_unblended_cost"),
        currency=row.get("line_item_currency_code") or "USD",
        tier=tier,
    )


def _product(row: Mapping[str, str]) -> str:
    """CUR 2.0 keeps what it knows of the product as JSON in one column, the older report in a column of each."""
    name = row.get("product_product_name", "")
    nested = row.get("product", "")
    if not name and nested.startswith("{"):
        try:
            name = str(json.loads(nested).get("product_name", ""))
        except ValueError:
            name = ""
    return name


def _usage_type(usage_type: str, product: str) -> tuple[str | None, str, str]:
    """The model, the kind and the tier."""
    lowered = usage_type.lower()
    tier = next((name for name in TIERS if name in lowered), STANDARD)
    rest = REGION.sub("", usage_type, count=1)
    for pattern, kind in KINDS:
        if found := pattern.search(rest):
            head = rest[: found.start()].removesuffix("mantle-").strip("-_")
            return (head or product or None), kind, tier
    return (product or None), rest, tier


def _quantity(
    where: str, row: Mapping[str, str], kind: str, tokens_per_unit: int | None
) -> Decimal | None:
    used = row.get("line_item_usage_amount", "")
    if not used:
        return None
    amount = decimal(used, f"{where}: line_item_usage_amount")
    if not kind.endswith("_tokens"):
        return amount
    unit = row.get("pricing_unit", "")
    tokens = TOKENS_OF_UNIT.get(unit.lower(), tokens_per_unit)
    if tokens is None:
        raise UnreadableBill(
            f"{where}: the pricing unit {unit!r} does not say how many tokens it is; say it with --tokens-per-unit"
        )
    return amount * tokens
