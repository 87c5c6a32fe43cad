"""Delivers by hand what processes left that have died."""

import time
from typing import NamedTuple

from opentelemetry.instrumentation.utils import suppress_instrumentation

from spanmeter.instrumentation.pipeline.adopted import Adopted
from spanmeter.instrumentation.pipeline.dead_letters import bury
from spanmeter.instrumentation.pipeline.delivery import Delivery, PutOff
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.instrumentation.pipeline.directory import Directory


class Drained(NamedTuple):
    """What became of records."""

    delivered: int
    refused: int
    """These are in `dead/` now."""
    failure: str | None
    """Why the rest, if there is any, could not be delivered."""


def drain(
    directory: Directory, destination: Destination | str, *, deadline: float, dead: bool = False
) -> Drained:
    """Delivers what dead processes left in the directory, or with `dead` what was refused before, until
    the deadline (`time.monotonic`). Records of processes that live are not touched."""

    def wait(seconds: float) -> bool:
        time.sleep(max(0.0, min(seconds, deadline - time.monotonic())))
        return time.monotonic() < deadline

    delivery = Delivery(destination, wait)
    adopted = Adopted(directory.dead() if dead else directory, set, once=True)
    try:
        with suppress_instrumentation():
            refused = _deliver_all(adopted, delivery, directory, deadline)
    finally:
        adopted.close()
        delivery.close()
    tally = delivery.tally
    return Drained(tally.delivered + tally.rejected, refused, tally.failure)


def _deliver_all(
    adopted: Adopted, delivery: Delivery, directory: Directory, deadline: float
) -> int:
    refused = 0
    while time.monotonic() < deadline and (batch := adopted.take()) is not None:
        try:
            refusals = delivery.deliver(batch, lambda: False)
        except PutOff:
            break
        refused += len(refusals)
        if refusals and bury(directory, batch, refusals):
            # There is no room for them there: then they stay where they are.
            break
        adopted.settle(batch)
    return refused
