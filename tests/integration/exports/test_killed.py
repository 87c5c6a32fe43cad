"""Every target that is an API: a run is killed at each of its steps, and the next one makes the sums right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from billing import chargebee, lago, openmeter, stripe
from billing.server import served
from exports_fixtures import START, Exports, book
from integration.exports import test_chargebee, test_lago, test_openmeter, test_stripe
from integration.exports.test_frame import STEPS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_waiting")]

SINCE = f"{START - timedelta(days=7):%Y-%m-%d}"


class Target(NamedTuple):
    """A target: its server, where its key is, its configuration but for the address, and one of its meters."""

    serve: Callable[[], Any]
    key: tuple[str, str]
    configured: str
    meter: str


def of_stripe(api: str) -> str:
    return test_stripe.TARGET.format(
        api=api, url="{url}", since=SINCE, late="list", measure="input_tokens", scale="1"
    )


TARGETS = {
    "stripe, v1": Target(
        stripe.StripeServer, ("STRIPE_KEY", stripe.KEY), of_stripe("v1"), "llm_tokens"
    ),
    "stripe, v2": Target(
        stripe.StripeServer, ("STRIPE_KEY", stripe.KEY), of_stripe("v2"), "llm_tokens"
    ),
    "chargebee": Target(
        chargebee.ChargebeeServer,
        ("CHARGEBEE_KEY", chargebee.KEY),
        test_chargebee.TARGET.format(url="{url}", since=SINCE),
        "tokens-USD",
    ),
    "lago": Target(
        lago.LagoServer,
        ("LAGO_KEY", lago.KEY),
        test_lago.TARGET.format(url="{url}", since=SINCE, second="money"),
        "tokens",
    ),
    "openmeter": Target(
        openmeter.OpenMeterServer,
        ("OPENMETER_KEY", openmeter.KEY),
        test_openmeter.TARGET.format(url="{url}", since=SINCE, more=test_openmeter.LOOKS),
        "tokens",
    ),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_a_killed_run_began_the_next_one_ends(
    exports: Exports, monkeypatch: pytest.MonkeyPatch, target: Target, step: str
) -> None:
    # Of days that are over, too: Chargebee is told of whole ones.
    for day in (2, 3):
        book(exports.dsn, "acme", -24 * day, input_tokens=1000)
        book(exports.dsn, "globex", -24 * day, input_tokens=2000)
    monkeypatch.setenv(*target.key)
    server = target.serve()
    with served(server):
        exports.configure(target.configured.replace("{url}", server.url))
        exports.run_killed_at(STEPS[step])

        exports.ran()

        status = exports.status()[target.meter]
        assert sum(values_of(server.totals(), target.meter)) == status["told"] >= 6000
        assert "to the last digit" in exports("status").stdout


def values_of(totals: Mapping[str | tuple[str, str], Decimal], meter: str) -> list[Decimal]:
    """What a server has of a meter, of each customer; some have one meter alone."""
    return [value for key, value in totals.items() if isinstance(key, str) or key[1] == meter]
