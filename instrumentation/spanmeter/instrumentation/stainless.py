"""The SDKs that Stainless generates (openai, anthropic, groq, together): one choke point in all of
them.

Every request of such a client, in every form (plain, raw response, streaming response, helpers),
goes through `SyncAPIClient.request` or `AsyncAPIClient.request` of its `_base_client` module, in
all majors.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from spanmeter.instrumentation.endpoint import Endpoint, Json, endpoint_for, mapping
from spanmeter.instrumentation.instrumentor import Arguments, Keywords, Patch, Request

MAX_SERVERS: Final = 256
"""Addresses remembered of one library's clients: an application has few, or makes a client for each
call."""


class Server(NamedTuple):
    """Where a client's requests go. `url` is the client's own object, which is another one as soon
    as the client is given another address."""

    url: object
    address: str
    port: int
    provider: str
    region: str | None


class Servers:
    """The servers that client objects' requests go to, each found out once for its address."""

    def __init__(
        self, provider_of: Callable[[Any], str], region_of: Callable[[Any], str | None]
    ) -> None:
        self._provider_of = provider_of
        self._region_of = region_of
        self._known: dict[int, Server] = {}

    def of(self, client: Any) -> Server:
        """The server of a client's requests."""
        # What the property is of in every major; in openai's it imports a module at each look.
        url = client.__dict__.get("_base_url") or client.base_url
        server = self._known.get(id(url))
        if server is None or server.url is not url:
            port = url.port or (443 if url.scheme == "https" else 80)
            provider, region = self._provider_of(client), self._region_of(client)
            server = Server(url, str(url.host), port, provider, region)
            if len(self._known) >= MAX_SERVERS:
                self._known.clear()
            self._known[id(url)] = server
        return server


def stainless_patches(
    package: str,
    endpoints: Mapping[str, Endpoint],
    *,
    provider_of: Callable[[Any], str],
    region_of: Callable[[Any], str | None] = lambda client: None,
    ask_for_usage: Callable[[Any, Any], bool] = lambda client, options: False,
    of_provider: Callable[[str, Endpoint], Endpoint] = lambda provider, endpoint: endpoint,
    as_served: Callable[[Any, Endpoint, str | None], Endpoint] | None = None,
    also: Callable[[Any], None] = lambda module: None,
) -> tuple[Patch, Patch]:
    """Where to wrap a Stainless-made SDK, given its endpoints (see `endpoint_for`).

    `provider_of` names the provider that a client object calls, `region_of` the region that its
    address names. `ask_for_usage` may change the request's options so that the provider reports
    usage; it says whether it has, so that what it caused is hidden. `of_provider`
    returns an endpoint as a provider has it, which is remembered; `as_served`, at every call, as it
    is for the client and the model that is asked for. `also` may patch the `_base_client` module further.
    """

    # An application asks for few URLs, over and over; ids in them are bounded here.
    @lru_cache(maxsize=1024)
    def endpoint_at(provider: str, method: object, url: object) -> Endpoint | None:
        found = endpoint_for(endpoints, str(method), str(url))
        return found and of_provider(provider, found)

    server_of = Servers(provider_of, region_of).of

    def describe(client: Any, args: Arguments, kwargs: Keywords) -> Request | None:
        options = kwargs["options"] if "options" in kwargs else args[1]
        _, address, port, provider, region = server_of(client)
        # As they lie there: to ask a pydantic model for each takes a while.
        fields = options.__dict__
        endpoint = endpoint_at(provider, fields["method"], fields["url"])
        if endpoint is None:
            return None
        body = mapping(fields["json_data"])
        asked = body.get("model")
        model = asked if isinstance(asked, str) else None
        streamed = bool(body.get("stream"))
        return Request(
            endpoint if as_served is None else as_served(client, endpoint, model),
            provider,
            model,
            client._client,  # noqa: SLF001 - the same name in every major
            address,
            port,
            body,
            streamed,
            region,
            ask_for_usage=partial(ask_for_usage, client, options) if streamed else None,
            rewrite=partial(_rewrite, options),
            rename=partial(_rename, options),
        )

    module = f"{package}._base_client"
    return (
        Patch(module, "SyncAPIClient.request", describe, also=also, private=True),
        Patch(module, "AsyncAPIClient.request", describe, is_async=True, private=True),
    )


def _rewrite(options: Any, body: Json) -> None:
    # A new dict: the one before may be the application's own.
    options.json_data = {**body}


def _rename(options: Any, model: str, body: Json) -> Json:
    renamed = {**body, "model": model}
    options.json_data = renamed
    return renamed


def host_of(client: Any) -> str:
    """The host that a client object sends its requests to."""
    return str(client.base_url.host)
