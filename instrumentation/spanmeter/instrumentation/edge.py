"""Whose request this is, decided where it enters: shared by the ASGI and the WSGI middleware."""

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar, cast

from opentelemetry.context import get_current

from spanmeter.instrumentation.context import UsageContext, usage
from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.identity import with_identity, without_identity

Request = TypeVar("Request")

_logger = logging.getLogger(__name__)
_BASE_FIELDS: Final = frozenset(inspect.signature(UsageContext).parameters) - {"dimensions", "byok"}


class Edge(Generic[Request]):
    """Decides the usage context of each request that comes in.

    `resolve` is given the request and returns its usage context, or `None`. `headers` names, for
    fields of `UsageContext`, the request header that holds each; use it where a gateway that you
    trust sets them. With neither finding a tenant, baggage that came with the request is believed
    only if `trust_inbound`: whoever can reach a public service could otherwise have a tenant of
    their choice billed.

    Raises `ValueError` where `headers` names a field that `UsageContext` does not have, or lacks
    `tenant_id`.
    """

    def __init__(
        self,
        resolve: Callable[[Request], Any] | None,
        headers: Mapping[str, str] | None,
        *,
        trust_inbound: bool,
    ) -> None:
        unknown = set(headers or ()) - _BASE_FIELDS
        if unknown or (headers and "tenant_id" not in headers):
            what = f"{min(unknown)!r} is no field" if unknown else "'tenant_id' is missing"
            raise ValueError(f"headers={headers!r}: {what}; the fields are {sorted(_BASE_FIELDS)}")
        self.resolve = resolve
        self._headers = {field: name.lower() for field, name in (headers or {}).items()}
        self._trust_inbound = trust_inbound

    def entered(self, found: UsageContext | None, headers: Callable[[str], str | None]) -> Entry:
        """Puts the usage context of a request in force: the one `resolve` found, or the headers',
        or none."""
        context = found if found is not None else self._from_headers(headers)
        if context is not None:
            # Nothing of the baggage that came in is inherited, even for the same tenant.
            return Entry(with_identity(usage(context).identity))
        return Entry(get_current() if self._trust_inbound else without_identity())

    def _from_headers(self, headers: Callable[[str], str | None]) -> UsageContext | None:
        values = {field: headers(name) for field, name in self._headers.items()}
        return UsageContext(**cast(Any, values)) if values.get("tenant_id") else None

    def failed(self, exc: Exception) -> None:
        """`resolve` raised: the request goes on, and its calls have no tenant."""
        _logger.error("resolve failed; calls of this request are unattributed", exc_info=exc)
