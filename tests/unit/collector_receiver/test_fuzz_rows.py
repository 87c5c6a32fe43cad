"""Whatever is sent, each of its spans becomes a row, or is kept with the reason why not, or is no call."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

import fuzzing
import otlp
from spanmeter.collector_receiver.decode import Undecodable, decode
from spanmeter.collector_receiver.received import Received
from spanmeter.collector_receiver.rows import rows_of
from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates

MAX_SPANS = 10_000


@pytest.mark.parametrize("seed", [31, 32])
def test_no_request_brings_out_a_fault_of_ours(seed: int) -> None:
    rng, real = random.Random(seed), otlp.llm_request(5)
    meter, booked = Meter(Rates.pinned()), 0
    for strange in fuzzing.requests(seed):
        for body in (strange, fuzzing.mutated(rng, real)):
            rows = rows_of(meter, decoded(body), datetime.now(UTC))
            assert "meter_failed" not in {span.reason for span in rows.rejected}, body
            booked += len(rows.batch)
    assert booked > 20, "enough of it is a call"


def decoded(body: bytes) -> list[Received]:
    try:
        return decode(body, max_spans=MAX_SPANS)
    except Undecodable:
        return []
