"""The meter that a collector's settings ask for."""

from spanmeter.collector_receiver.settings import CollectorSettings
from spanmeter.metering.attribution import Attribution
from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates


def pinned_meter(settings: CollectorSettings) -> Meter:
    """A meter at this release's rates."""
    return Meter(
        Rates.pinned(),
        attribution=Attribution(settings.attribution),
        max_age=settings.max_age,
        max_ahead=settings.max_ahead,
    )
