"""Whose request this is, decided where it enters: shared by the ASGI, WSGI and gRPC middleware."""

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from opentelemetry.context import Context

from spanmeter.instrumentation.carrying import received
from spanmeter.instrumentation.context import UsageContext, usage
from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.identity import with_identity, without_identity
from spanmeter.instrumentation.trust import Trust, trust

Request = TypeVar("Request")

_logger = logging.getLogger(__name__)
_BASE_FIELDS: Final = frozenset(inspect.signature(UsageContext).parameters) - {"dimensions", "byok"}


class Protocol(NamedTuple, Generic[Request]):
    """How a request of one protocol is read: its `headers`, all values by lower-case name, and the
    address of the `peer` that it comes from."""

    headers: Callable[[Request], Mapping[str, Sequence[str]]]
    peer: Callable[[Request], str | None]


class Edge(Generic[Request]):
    """Decides the usage context of each request that comes in.

    `resolve` is given the request and returns its usage context, or `None`. `headers` names, for
    fields of `UsageContext`, the request header that holds each; use it where a gateway that you
    trust sets them. With neither finding a tenant, baggage that came with the request is believed
    only if `trust_inbound`, which may be a function of the request: whoever can reach a public
    service could otherwise have a tenant of their choice billed. Where it is not given,
    SPANMETER_TRUST_INBOUND decides, by which none is believed unless that says so.

    Raises `ValueError` where `headers` names a field that `UsageContext` does not have, or lacks
    `tenant_id`, and where the setting is none.
    """

    def __init__(
        self,
        protocol: Protocol[Request],
        resolve: Callable[[Request], Any] | None,
        headers: Mapping[str, str] | None,
        trust_inbound: bool | Trust[Request] | None,  # noqa: FBT001 - as in the middleware, by name
    ) -> None:
        unknown = set(headers or ()) - _BASE_FIELDS
        if unknown or (headers and "tenant_id" not in headers):
            what = f"{min(unknown)!r} is no field" if unknown else "'tenant_id' is missing"
            raise ValueError(f"headers={headers!r}: {what}; the fields are {sorted(_BASE_FIELDS)}")
        self._protocol = protocol
        self._resolve = resolve
        self._headers = {field: name.lower() for field, name in (headers or {}).items()}
        self._trusts = trust(trust_inbound, protocol.peer)

    def enter(self, request: Request) -> Entry:
        """Puts the usage context of a request in force."""
        found = self._found(request)
        if inspect.iscoroutine(found):
            found.close()
            _failed("resolve", TypeError("it must be no coroutine function where nobody awaits it"))
            found = None
        return self._enter(request, found)

    async def enter_async(self, request: Request) -> Entry:
        """Puts the usage context of a request in force; `resolve` may be a coroutine function."""
        return self._enter(request, await self._found_async(request))

    def _found(self, request: Request) -> Any:
        try:
            return None if self._resolve is None else self._resolve(request)
        except Exception as exc:  # noqa: BLE001 - metering is never in the way of a request
            _failed("resolve", exc)
            return None

    async def _found_async(self, request: Request) -> Any:
        found = self._found(request)
        try:
            return await found if inspect.isawaitable(found) else found
        except Exception as exc:  # noqa: BLE001 - as above
            _failed("resolve", exc)
            return None

    def _enter(self, request: Request, found: UsageContext | None) -> Entry:
        context = found if found is not None else self._from_headers(request)
        if context is not None:
            # Nothing of the baggage that came in is inherited, even for the same tenant.
            return Entry(with_identity(usage(context).identity))
        claimed = self._claimed(request) if self._is_trusted(request) else None
        return Entry(without_identity() if claimed is None else claimed)

    def _from_headers(self, request: Request) -> UsageContext | None:
        if not self._headers:
            return None
        given = self._protocol.headers(request)
        values = {field: _only(given, name) for field, name in self._headers.items()}
        return UsageContext(**cast(Any, values)) if values.get("tenant_id") else None

    @guarded
    def _claimed(self, request: Request) -> Context:
        """The context that a request claims for itself, whatever its server was started in."""
        given = self._protocol.headers(request)
        return received({name: ",".join(values) for name, values in given.items()})

    def _is_trusted(self, request: Request) -> bool:
        try:
            return bool(self._trusts(request))
        except Exception as exc:  # noqa: BLE001 - as above
            _failed("trust_inbound", exc)
            return False


def _only(headers: Mapping[str, Sequence[str]], name: str) -> str | None:
    """The one value of a header: of two, one is not the gateway's."""
    values = headers.get(name, ())
    if len(values) > 1:
        _logger.warning("%s was sent %d times with one request; it is ignored", name, len(values))
    return values[0] if len(values) == 1 else None


def _failed(what: str, exc: Exception) -> None:
    """A function of the application's raised: the request goes on."""
    _logger.error("%s failed; calls of this request may be unattributed", what, exc_info=exc)
