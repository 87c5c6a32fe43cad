"""The instrumentor that every client library's file fills in: where to wrap, and what is being
asked of whom."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import wrapt
from opentelemetry.context import get_current

# That module opts out of type checking as a whole.
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)

from spanmeter.instrumentation.budgets.admission import Admission
from spanmeter.instrumentation.budgets.admitting import admitted, refuse_session
from spanmeter.instrumentation.call import Call, Calling
from spanmeter.instrumentation.callsite import callsite
from spanmeter.instrumentation.collected import settle_before_flush
from spanmeter.instrumentation.endpoint import Endpoint, Json
from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.everywhere import carry_everywhere
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.identity import set_aside
from spanmeter.instrumentation.installed import Coverage, Installed
from spanmeter.instrumentation.missing_tenant import is_refused, no_tenant
from spanmeter.instrumentation.recorder import Recorder, Repeated
from spanmeter.instrumentation.transport import patch_httpx
from spanmeter.instrumentation.version import VERSION
from spanmeter.metering import attributes as names

Arguments = tuple[Any, ...]
Keywords = dict[str, Any]


class Request(NamedTuple):
    """What a client library is about to ask of a provider.

    `http_client` is the httpx (or httpx2) client that sends it. `body` is the request's, as far as
    it is JSON. `region` is where it is served, if the address says. `is_sent` is whether it has left
    already. `ask_for_usage` may change the request so that the provider reports usage in its
    stream; it says whether it has, so that the event that it caused is kept from the application.
    `rewrite` puts another body in place of the request's. `rename` puts another model: given the body, it returns the
    one that this makes. Without them the request stays as it is.
    """

    endpoint: Endpoint
    provider: str
    model: str | None
    http_client: object
    server_address: str
    server_port: int
    body: Json
    streamed: bool = False
    region: str | None = None
    is_sent: bool = False
    ask_for_usage: Callable[[], bool] | None = None
    rewrite: Callable[[Json], None] | None = None
    rename: Callable[[str, Json], Json] | None = None


Begin = Callable[[Request], Call | None]
"""Begins a call in the context in force, or none while nothing is metered."""


@guarded
def may_begin(begin: Begin, endpoint: Endpoint) -> None:
    """Raises `MissingTenant` or `BudgetExceeded` where a call would be refused: for a session that many are made in,
    or a library that hides what is raised where its requests leave."""
    session = session_of(endpoint)
    if is_refused():
        begin(session)
    refuse_session(session)


def session_of(endpoint: Endpoint) -> Request:
    """A call of a session, before anything is known of it."""
    return Request(endpoint, "", None, None, "", 0, {})


class Tap(NamedTuple):
    """One function of a client library whose transport is not httpx, or that carries many calls.

    `wrapper`, a wrapper of `wrapt`, is made with what begins a call: it begins their attempts, and
    ends them. `name` may be missing from the module, where a version of the library has no such
    thing.
    """

    module: str
    name: str
    wrapper: Callable[[Begin], Callable[..., Any]]


class Patch(NamedTuple):
    """One function of a client library to meter, wrapped when its module is imported.

    `describe` is given the object, the positional and the keyword arguments of a call, and says
    what it asks for, or `None` for what is no use of a model. `also` may patch the module further.
    `private` is whether all that goes through the function goes to a provider, so that no identity
    may go with it, metered or not.
    """

    module: str
    function: str
    describe: Callable[[Any, Arguments, Keywords], Request | None]
    is_async: bool = False
    also: Callable[[Any], None] = lambda module: None
    private: bool = False


class ClientInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Meters the calls of one client library. Subclasses give the `package`, its `patches`, and the
    versions of distributions that they were `verified` with: `("openai", ">=1,<4")`."""

    package: str
    patches: Sequence[Patch]
    taps: Sequence[Tap] = ()
    verified: Sequence[tuple[str, str]] = ()
    _recorder: Recorder | None = None
    _installed: Installed | None = None

    def coverage(self) -> list[Coverage]:
        """Whether the calls of the library, where it is installed, are metered."""
        installed = self._installed or self._known()
        return installed.coverage(on=self._recorder is not None)

    def _known(self) -> Installed:
        places = [(patch.module, patch.function) for patch in self.patches]
        return Installed(self.verified, places, meters=VERSION)

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: a library that is not installed is never imported, and so never patched."""
        return ()

    @guarded
    def _instrument(self, **kwargs: Any) -> None:
        self._recorder = Recorder(self.package, kwargs.get("tracer_provider"))
        if self._installed is None:
            self._installed = self._known()
            # Each is worth doing where another fails.
            for step in (
                self._installed.check,
                settle_before_flush,
                patch_httpx,
                carry_everywhere,
            ):
                guarded(step)()
            for patch in self.patches:
                wrapt.register_post_import_hook(partial(self._apply, patch), patch.module)
            for tap in self.taps:
                wrapt.register_post_import_hook(partial(self._tap, tap), tap.module)

    def _uninstrument(self, **kwargs: Any) -> None:
        """The patches stay and let every call pass: others may have wrapped them since."""
        self._recorder = None

    @guarded
    def _apply(self, patch: Patch, module: Any) -> None:
        if not _has(module, patch.function):
            if self._installed is not None:
                self._installed.lacks(patch.module, f"{patch.module}.{patch.function}")
            return
        wrapper = _wrap_async if patch.is_async else _wrap
        begin = partial(self._begin, patch)
        wrapt.wrap_function_wrapper(module, patch.function, wrapper(begin))
        patch.also(module)

    @guarded
    def _tap(self, tap: Tap, module: Any) -> None:
        if _has(module, tap.name):
            wrapt.wrap_function_wrapper(module, tap.name, tap.wrapper(self.begin))

    @guarded
    def _begin(
        self,
        patch: Patch,
        instance: Any,
        args: Arguments,
        kwargs: Keywords,
        admission: Admission | None = None,
    ) -> Entry | Admission | None:
        """Begins the call, if it is one, and enters the context to call the provider in; or says what has to be waited
        for before that. With that it is called again."""
        if self._recorder is None:
            return None
        request = patch.describe(instance, args, kwargs)
        call = self.begin(request, admission) if request is not None else None
        if request is None or call is None:
            return _kept_private() if patch.private else None
        if call.admission is not None and not call.admission.is_decided:
            return call.admission
        calling = Calling(call)
        if request.ask_for_usage is not None:
            # Last, where nothing can fail any more: what is asked for must be hidden afterwards.
            call.hides_usage = bool(_asked_for_usage(request.ask_for_usage))
        return calling

    def begin(self, request: Request, admission: Admission | None = None) -> Call | None:
        """Begins a call in the context in force; `None` while nothing is metered. Raises
        `MissingTenant` where that is switched on and the call can still be refused, and `BudgetExceeded`."""
        if self._recorder is None:
            return None
        context = get_current()
        identity, private = set_aside(context)
        attributes = identity
        if names.TENANT_ID not in identity:
            place = callsite(self.package) or "unknown"
            attributes = {**identity, names.USAGE_CALLSITE: place}
            # What was made earlier costs nothing any more.
            fetches = request.endpoint.fetches or request.endpoint.results is not None
            no_tenant(self.package, place, refusable=not (request.is_sent or fetches))
        if admission is None:
            admission = admitted(identity, request)
        if admission is not None:
            # It may be another one by now: of less output, of a cheaper model.
            request = admission.request
        endpoint, provider, model, http_client, address, port, body, streamed, region = request[:9]
        repeated = _repeated(endpoint.operation, provider, address, port, model, region, streamed)
        return Call(
            self._recorder,
            endpoint,
            provider,
            model,
            context,
            private,
            http_client,
            repeated,
            attributes,
            body,
            admission,
        )


# An application asks for few models, over and over.
@lru_cache(maxsize=1024)
def _repeated(
    operation: str,
    provider: str,
    address: str,
    port: int,
    model: str | None,
    region: str | None,
    streamed: bool,  # noqa: FBT001 - keywords are kept apart in the key of a cache, which takes time
) -> Repeated:
    """The attributes of requests for the same."""
    attributes: dict[str, str | int | bool] = {
        names.OPERATION_NAME: operation,
        names.PROVIDER_NAME: provider,
        names.SERVER_ADDRESS: address,
        names.SERVER_PORT: port,
    }
    if model is not None:
        attributes[names.REQUEST_MODEL] = model
    if streamed:
        attributes[names.REQUEST_STREAM] = True
    if region is not None:
        attributes[names.USAGE_REGION] = region
    return Repeated.of(attributes, operation if model is None else f"{operation} {model}")


def _kept_private() -> Entry:
    """Enters the context to ask a provider in for what is no use of a model."""
    context = get_current()
    return Entry(context, values=set_aside(context)[1])


def _has(module: Any, name: str) -> bool:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


@guarded
def _asked_for_usage(ask: Callable[[], bool]) -> bool:
    return ask()


_Enter = Callable[..., Entry | Admission | None]


def _wrap(begin: _Enter) -> Callable[..., Any]:
    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        calling = begin(instance, args, kwargs)
        if isinstance(calling, Admission):
            calling.wait()
            calling = begin(instance, args, kwargs, calling)
        if not isinstance(calling, Entry):
            return wrapped(*args, **kwargs)
        with calling:
            return wrapped(*args, **kwargs)

    return wrapper


def _wrap_async(begin: _Enter) -> Callable[..., Any]:
    async def wrapper(
        wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        calling = begin(instance, args, kwargs)
        if isinstance(calling, Admission):
            await calling.wait_async()
            calling = begin(instance, args, kwargs, calling)
        if not isinstance(calling, Entry):
            return await wrapped(*args, **kwargs)
        with calling:
            return await wrapped(*args, **kwargs)

    return wrapper
