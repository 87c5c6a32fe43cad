"""WSGI middleware: every call made while serving a request is metered for the request's tenant.

app.wsgi_app = UsageMiddleware(app.wsgi_app, resolve=tenant_of)     # Flask
application = UsageMiddleware(get_wsgi_application(), headers={"tenant_id": "X-Tenant-Id"})  # Django
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, Final

from opentelemetry.context import get_current

from spanmeter.instrumentation.context import UsageContext
from spanmeter.instrumentation.edge import Edge, Protocol
from spanmeter.instrumentation.entering import within
from spanmeter.instrumentation.trust import Trust

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class UsageMiddleware:
    """Sets the usage context of each request, while its body is iterated too; see `edge.Edge` for
    the parameters.

    `resolve` is given the WSGI environ.
    """

    def __init__(
        self,
        app: Application,
        *,
        resolve: Callable[[Environ], UsageContext | None] | None = None,
        headers: Mapping[str, str] | None = None,
        trust_inbound: bool | Trust[Environ] | None = None,
    ) -> None:
        self._app = app
        self._edge = Edge(_WSGI, resolve, headers, trust_inbound)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        entry = self._edge.enter(environ)
        try:
            inner = get_current()
            body = self._app(environ, start_response)
        finally:
            entry.leave()
        return _Body(body, inner)


class _Body:
    """A response body whose every chunk is made in the request's context. The server iterates it
    after the call."""

    def __init__(self, body: Iterable[bytes], context: Any) -> None:
        self._body = body
        self._context = context

    def __iter__(self) -> Generator[bytes]:
        chunks = iter(self._body)
        while True:
            with within(self._context):
                try:
                    chunk = next(chunks)
                except StopIteration:
                    return
            yield chunk

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            with within(self._context):
                close()


def _headers(environ: Environ) -> Mapping[str, list[str]]:
    return {
        name.removeprefix("HTTP_").replace("_", "-").lower(): [value]
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    }


def _peer(environ: Environ) -> str | None:
    address = environ.get("REMOTE_ADDR")
    return address if isinstance(address, str) else None


_WSGI: Final = Protocol(_headers, _peer)
