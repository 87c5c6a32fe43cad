"""Chargebee's usages as documented: one for a subscription, item price and date; 5,000 in all; deleted to correct.

Source: apidocs.chargebee.com/docs/api/usages.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from billing.server import BillingServer, Reply, Request

KEY = "test_key_of_chargebee"
SUBSCRIPTIONS = {"sub-acme", "sub-globex"}
ITEM_PRICES = {"tokens-USD"}
MOST = 5000


@dataclass
class ChargebeeServer(BillingServer):
    usages: dict[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    recorded: int = 0
    deleted: int = 0

    def take(self, request: Request) -> Reply:
        basic = base64.b64encode(f"{KEY}:".encode()).decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            return _error(401, "api_authentication_failed", "the key is not valid")
        _, _, _, subscriptions, subscription, what = request.path.split("/")
        if subscriptions != "subscriptions" or subscription not in SUBSCRIPTIONS:
            return _error(404, "resource_not_found", f"{subscription} not found")
        match request.method, what:
            case "POST", "usages":
                return self._created(subscription, request.form)
            case "POST", "delete_usage":
                return self._deleted(subscription, request.form["id"])
            case "GET", "usages":
                return self._retrieved(subscription, request.query["id"])
            case _:
                return _error(405, "http_method_not_supported", "no such method")

    def totals(self) -> dict[str, Decimal]:
        """By subscription."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for each in self.usages.values():
            found[each["subscription_id"]] += Decimal(each["quantity"])
        return dict(found)

    def _created(self, subscription: str, form: Mapping[str, str]) -> Reply:
        if form["item_price_id"] not in ITEM_PRICES:
            return _error(
                400, "invalid_request", f"{form['item_price_id']} is not in the subscription"
            )
        if not _is_quantity(form["quantity"]):
            return _error(400, "param_wrong_value", "quantity : should be a number of at least 0")
        if len(form["id"]) > 50:
            return _error(400, "param_wrong_value", "id : maximum length is 50")
        told = {**form, "subscription_id": subscription}
        place = ("subscription_id", "item_price_id", "usage_date")
        if form["id"] in self.usages or any(
            all(each[name] == told[name] for name in place) for each in self.usages.values()
        ):
            return _error(400, "duplicate_entry", "the usage is already present")
        if self.recorded == MOST:
            return _error(400, "configuration_incompatible", "5000 usages are recorded already")
        self.recorded += 1
        self.usages[form["id"]] = told
        return Reply(200, {"usage": told})

    def _deleted(self, subscription: str, usage_id: str) -> Reply:
        if self.usages.get(usage_id, {}).get("subscription_id") != subscription:
            return _error(404, "resource_not_found", f"{usage_id} not found")
        self.deleted += 1
        return Reply(200, {"usage": self.usages.pop(usage_id)})

    def _retrieved(self, subscription: str, usage_id: str) -> Reply:
        found = self.usages.get(usage_id)
        if found is None or found["subscription_id"] != subscription:
            return _error(404, "resource_not_found", f"{usage_id} not found")
        return Reply(200, {"usage": found})


def _is_quantity(text: str) -> bool:
    try:
        return Decimal(text) >= 0
    except InvalidOperation:
        return False


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"message": message, "api_error_code": code, "http_status_code": status})
