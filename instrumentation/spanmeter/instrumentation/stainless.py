"""The SDKs that Stainless generates (openai, anthropic, groq, together): one choke point, one way
to meter them.

Every request of such a client, in every form (plain, raw response, streaming response, helpers),
goes through `SyncAPIClient.request` or `AsyncAPIClient.request` of its `_base_client` module, in
all majors.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import wrapt
from opentelemetry.context import get_current

# That module opts out of type checking as a whole.
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)
from opentelemetry.trace import Tracer, get_tracer

from spanmeter.instrumentation.call import Call
from spanmeter.instrumentation.callsite import callsite
from spanmeter.instrumentation.endpoint import Endpoint, mapping
from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.identity import identity_in
from spanmeter.instrumentation.transport import patch_httpx
from spanmeter.instrumentation.version import VERSION
from spanmeter.metering import attributes as names


class Library(NamedTuple):
    """A client library: its package, its endpoints by path, and what differs from the others.

    `provider_of` names the provider that a client object calls. `ask_for_usage` may change the
    request's options so that the provider reports usage; it says whether it has, so that what it
    caused is hidden. `on_patched` may patch the `_base_client` module further.
    """

    package: str
    endpoints: Mapping[str, Endpoint]
    provider_of: Callable[[Any], str]
    ask_for_usage: Callable[[Any, Any], bool] = lambda client, options: False
    on_patched: Callable[[Any], None] = lambda module: None


class StainlessInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Meters every call of one Stainless-made SDK. Subclasses name the `library`."""

    library: Library
    _tracer: Tracer | None = None
    _registered = False

    def instrumentation_dependencies(self) -> Collection[str]:
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._tracer = get_tracer(
            names.SCOPE_PREFIX + self.library.package,
            VERSION,
            tracer_provider=kwargs.get("tracer_provider"),
        )
        if not self._registered:
            self._registered = True
            patch_httpx()
            # Patched when the application imports it, so that an SDK it does not use costs it
            # nothing.
            wrapt.register_post_import_hook(self._patch, f"{self.library.package}._base_client")

    def _uninstrument(self, **kwargs: Any) -> None:
        """The patches stay and let every call pass: others may have wrapped them since."""
        self._tracer = None

    @guarded
    def _patch(self, module: Any) -> None:
        wrapt.wrap_function_wrapper(module, "SyncAPIClient.request", self._request)
        wrapt.wrap_function_wrapper(module, "AsyncAPIClient.request", self._request_async)
        self.library.on_patched(module)

    def _request(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        begun = self._begin(instance, args, kwargs)
        if begun is None:
            return wrapped(*args, **kwargs)
        call, entry = begun
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as exc:
            call.raised(exc)
            raise
        finally:
            entry.leave()
        call.returned()
        return result

    async def _request_async(
        self,
        wrapped: Callable[..., Awaitable[Any]],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        begun = self._begin(instance, args, kwargs)
        if begun is None:
            return await wrapped(*args, **kwargs)
        call, entry = begun
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as exc:
            call.raised(exc)
            raise
        finally:
            entry.leave()
        call.returned()
        return result

    @guarded
    def _begin(
        self, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Call, Entry] | None:
        """Begins the call, with the context to call the provider in entered; `None` for what is not
        metered."""
        if self._tracer is None:
            return None
        options = kwargs["options"] if "options" in kwargs else args[1]
        endpoint = self.library.endpoints.get(urlsplit(str(options.url)).path.removesuffix("/"))
        if endpoint is None or options.method.lower() != "post":
            return None
        body = mapping(options.json_data)
        model = body.get("model")
        identity = identity_in()
        further = _server(client)
        if body.get("stream"):
            further[names.REQUEST_STREAM] = True
        if names.TENANT_ID not in identity:
            further[names.USAGE_CALLSITE] = callsite(self.library.package)
        call = Call(
            tracer=self._tracer,
            endpoint=endpoint,
            provider=self.library.provider_of(client),
            model=model if isinstance(model, str) else None,
            identity=identity,
            context=get_current(),
            http_client=client._client,  # noqa: SLF001 - the same in every major; its sends are the attempts
            further=further,
            hides_usage=self.library.ask_for_usage(client, options),
        )
        return call, Entry(call.provider_context())


def host_of(client: Any) -> str:
    """The host that a client object sends its requests to."""
    return str(client.base_url.host)


def _server(client: Any) -> dict[str, str | int | bool]:
    url = client.base_url
    port: Final = url.port or (443 if url.scheme == "https" else 80)
    return {names.SERVER_ADDRESS: str(url.host), names.SERVER_PORT: port}
