"""Calls that several libraries tell of at once are in the ledger once, at the provider's price."""

from __future__ import annotations

import pytest

from booking import query
from golden.watching import watch
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings

# Two of Pydantic AI's calls Anthropic's SDK refuses to send at first; OpenInference tells of those too.
SUMS = """
SELECT sum(requests), sum(input_tokens), sum(output_tokens), sum(cost), count(*) FROM ledger
WHERE tenant_id = 'acme' AND status = 'ok'
"""


@pytest.mark.slow
@pytest.mark.parametrize("emitters", ["side_by_side", "one_inside_the_other"])
def test_the_ledger_sums_up_to_the_providers_bill(dsn: str, emitters: str) -> None:
    watched = watch(emitters)
    with (
        Collector(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")) as collector,
        Client(collector.grpc_address) as client,
    ):
        for body in watched.bodies:
            client.export(body)
    [(requests, whole, output, cost, rows)] = query(dsn, SUMS)
    served = watched.served
    assert rows > len(served)
    assert requests == len(served)
    assert whole == sum(each.tokens.input for each in served)
    assert output == sum(each.tokens.output for each in served)
    assert cost == sum(each.cost for each in served)
