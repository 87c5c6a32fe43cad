"""Whose word is taken on who pays, and whether the provider could learn of it."""

import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Final

from opentelemetry.propagate import get_global_textmap

from spanmeter.instrumentation.doctor.finding import Finding
from spanmeter.instrumentation.doctor.libraries import disabled, unmetered
from spanmeter.instrumentation.missing_tenant import MISSING_TENANT
from spanmeter.instrumentation.trust import TRUST_INBOUND, trust

_SENDERS: Final = frozenset(
    {"httpx", "requests", "urllib", "urllib3", "aiohttp-client", "aiohttp_client", "botocore"}
    | {"aiobotocore", "grpc_client", "grpc_aio_client"}
)
"""Instrumentations that put baggage into the requests that they see."""

_INJECT_THEMSELVES: Final = frozenset({"anthropic", "mistralai"})


def examine() -> Iterator[Finding]:
    """Looks at the policy for calls without a tenant, at the edge, and at baggage that goes out."""
    yield _missing_tenant()
    yield _edge()
    yield _baggage()


def _missing_tenant() -> Finding:
    policy = os.environ.get(MISSING_TENANT) or "record"
    does = {
        "record": "calls without a tenant are recorded, with their place in the code",
        "warn": "calls without a tenant are recorded, and logged once for each place",
        "raise": "calls without a tenant are refused before they leave",
    }
    if policy in does:
        return Finding("missing tenant", "ok", does[policy])
    what = f"{MISSING_TENANT}={policy!r} means nothing, and is not heeded"
    return Finding("missing tenant", "problem", what, "set it to record, warn or raise")


def _edge() -> Finding:
    said = os.environ.get(TRUST_INBOUND) or "never"
    try:
        trust(None, lambda _: None)
    except ValueError as error:
        return Finding("inbound trust", "problem", str(error), f"mend {TRUST_INBOUND}")
    if said == "always":
        what = "any request is believed as to who pays, where the middleware is not told otherwise"
        to_do = "trust networks instead, unless only your own services can reach this one"
        return Finding("inbound trust", "warning", what, to_do)
    believed = "no request" if said == "never" else f"requests from {said}"
    what = (
        f"{believed} believed as to who pays, where the middleware is not told otherwise; "
        "a service without the middleware takes any baggage"
    )
    return Finding("inbound trust", "ok", what)


def _baggage() -> Finding:
    """Identity is taken out of the baggage while a call is metered; of other calls nobody takes care."""
    if "baggage" not in get_global_textmap().fields:
        what = "not propagated: services that are called do not learn whose work it is"
        return Finding("baggage", "warning", what, "add baggage to OTEL_PROPAGATORS")
    senders = _senders()
    leaking = [each for each in unmetered() if senders or each in _INJECT_THEMSELVES]
    if leaking:
        what = f"identity may reach the providers of {', '.join(leaking)}, which are not metered"
        to_do = "meter them, or take baggage out of OTEL_PROPAGATORS"
        return Finding("baggage", "problem", what, to_do)
    return Finding("baggage", "ok", "carries identity to your services, never to a provider")


def _senders() -> list[str]:
    names = {each.name for each in entry_points(group="opentelemetry_instrumentor")} & _SENDERS
    switched_off = disabled()
    return [] if "*" in switched_off else sorted(names - switched_off)
