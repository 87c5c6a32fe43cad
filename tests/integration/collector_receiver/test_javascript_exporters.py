"""JavaScript's OTLP exporters, which never send anything twice: what they send is taken and booked."""

from __future__ import annotations

import pytest

from booking import query
from golden.watching import run_javascript
from spanmeter.collector_receiver import Collector, CollectorSettings

SPANS = 600
"""More than one batch."""

SUMS = (
    "SELECT count(*), sum(input_tokens), count(DISTINCT span_id), min(tenant_id) FROM usage_events"
)


@pytest.mark.slow
@pytest.mark.parametrize("exporter", ["grpc", "http", "proto"])
def test_what_an_exporter_sends_is_booked(plain_dsn: str, exporter: str) -> None:
    """`http` sends JSON, `proto` protobuf over HTTP; all of them compressed."""
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", http="127.0.0.1:0")
    with Collector(settings) as collector:
        url = f"http://{collector.grpc_address}"
        if exporter != "grpc":
            url = f"http://{collector.addresses.http}/v1/traces"
        run_javascript("exporters.mjs", exporter, url, str(SPANS))
    whole = sum(1000 + i for i in range(1, SPANS + 1))
    assert query(plain_dsn, SUMS) == [(SPANS, whole, SPANS, "acme")]
