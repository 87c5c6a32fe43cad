"""The seam between the HTTP side and a wire: a call goes in, what to send comes out.

A new wire is one module with `ENDPOINTS`, added to the list in `app.py`.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulated_provider.prices import ListPrice, PriceList, Tokens
from simulated_provider.prompt_cache import PromptCache
from simulated_provider.reply import Framing, Reply

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event. `delta` marks a piece of the text, which pacing and aborts count."""

    data: JSON | str
    name: str | None = None
    delta: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A request to answer: its body, the reply to give, and the model that Azure deployed.

    `path` are the names in its path, `kept` what the provider has made and can be asked for later.
    """

    body: JSON
    reply: Reply
    cache: PromptCache
    request_id: str
    deployed: str | None = None
    path: Mapping[str, str] = field(default_factory=dict[str, str])
    kept: dict[str, JSON] = field(default_factory=dict[str, JSON])

    @property
    def model(self) -> str:
        """The model asked for: the one deployed, or the one in the body. Raises RefusedError."""
        model = self.deployed or self.body.get("model")
        if not isinstance(model, str):
            raise RefusedError(400, "you must provide a model parameter")
        return model

    @property
    def streams(self) -> bool:
        """Whether the client asked for a stream."""
        return self.body.get("stream") is True

    def price(self, prices: PriceList) -> ListPrice:
        """The list price of the model asked for. Raises RefusedError if there is no such model."""
        price = prices.find(self.model)
        if price is None:
            raise RefusedError(404, f"The model `{self.model}` does not exist")
        return price


@dataclass(frozen=True, slots=True)
class Exchange:
    """A complete answer, ready to be sent whole (`body`) or as `events`, and its bill.

    `failure(sent)` gives the events with which the stream breaks off after `sent` events. An answer
    that is not JSON is `content`, of the type `media`. What costs nothing is not `billed`.
    `headers` are sent with it.
    """

    price: ListPrice
    response_id: str
    usage: JSON
    tokens: Tokens
    body: JSON
    events: Sequence[Event] = ()
    failure: Callable[[int], Sequence[Event]] = lambda sent: ()
    media: str | None = None
    content: bytes = b""
    billed: bool = True
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class RefusedError(Exception):
    """The request itself is wrong: the status and the sentence to answer with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Wire:
    """What all endpoints of one vendor share."""

    request_id: Callable[[], str]
    headers: Callable[[str], Mapping[str, str]]
    """Response headers from the request id."""
    error: Callable[[int, str, str | None, Mapping[str, Any] | None], JSON]
    """An error body from the status, the request id, another message, another error object."""
    error_headers: Callable[[int], Mapping[str, str]] = lambda status: {}
    """Further headers of an error, from its status."""
    stream_type: str = "text/event-stream; charset=utf-8"
    encode: Callable[[Event, Framing], bytes] | None = None
    """A streamed event as bytes, where streams are not server-sent events."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route: `api` names it in the record, `answer` makes what to send.

    `answer` raises RefusedError. Where the path says so and not the body, it `streams`.
    """

    path: str
    api: str
    wire: Wire
    answer: Callable[[Call], Exchange]
    method: str = "POST"
    streams: bool = False


def section(of: JSON, key: str) -> JSON:
    """The object under `key`; empty where there is none, or null."""
    value: JSON | None = of.get(key)
    return {} if value is None else value


def listed(of: JSON, key: str) -> list[JSON]:
    """The objects under `key`; none where there is no such list, or null."""
    value: list[JSON] | None = of.get(key)
    return [] if value is None else value


def new_id(prefix: str, length: int) -> str:
    """A fresh identifier in the form the vendors use; no two responses ever share one."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return prefix + "".join(secrets.choice(alphabet) for _ in range(length))
