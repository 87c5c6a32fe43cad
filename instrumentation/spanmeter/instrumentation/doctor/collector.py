"""Where records go, and whether the collector there answers and accepts the key."""

import os
from collections.abc import Iterator
from ipaddress import ip_address

from opentelemetry.instrumentation.utils import suppress_instrumentation

from spanmeter.instrumentation.doctor.finding import Finding
from spanmeter.instrumentation.pipeline.answers import Accepted, Answer, Misconfigured
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.instrumentation.pipeline.exchange import exchange_with
from spanmeter.instrumentation.pipeline.settings import PipelineSettings

_NAMING = "set SPANMETER_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT to where your collector listens"


def examine() -> Iterator[Finding]:
    """Asks the collector to take an export without spans, which it does if all is well."""
    destination = PipelineSettings.from_environ(os.environ).destination
    if isinstance(destination, str):
        yield Finding("collector", "problem", destination, _NAMING)
        return
    yield Finding("collector", "ok", f"{destination.url}, {destination.protocol}")
    yield _key(destination)
    yield _answer(destination)


def _key(destination: Destination) -> Finding:
    """Which headers are sent, by name: their values are secret."""
    names = ", ".join(name for name, _ in destination.headers)
    if not names:
        return Finding("key", "ok", "none is sent")
    if not destination.secure and not _is_local(destination.host):
        what = f"sent in clear text, in the header {names}"
        return Finding("key", "warning", what, "use an https:// endpoint")
    return Finding("key", "ok", f"sent in the header {names}")


def _answer(destination: Destination) -> Finding:
    with suppress_instrumentation():
        exchange = exchange_with(destination)
        try:
            answer = exchange.send(b"")
        finally:
            exchange.close()
    return _judged(answer)


def _judged(answer: Answer) -> Finding:
    if isinstance(answer, Accepted):
        return Finding("answer", "ok", "the collector accepts records")
    reason = getattr(answer, "reason", "")
    if isinstance(answer, Misconfigured):
        to_do = "check the key (OTEL_EXPORTER_OTLP_HEADERS, SPANMETER_HEADERS) and the address"
        return Finding(
            "answer", "problem", f"the collector does not accept records: {reason}", to_do
        )
    to_do = f"start the collector (`spanmeter up`), or {_NAMING}"
    return Finding("answer", "problem", f"the collector takes no records now: {reason}", to_do)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
