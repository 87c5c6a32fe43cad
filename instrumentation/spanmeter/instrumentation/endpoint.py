"""What a client library's file says of each endpoint: what it is, and how to read usage from what
comes back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from spanmeter.instrumentation.framing import Framing

Json = Mapping[str, Any]
Attributes = dict[str, str | int | float]


class Reading(NamedTuple):
    """What a response body, or one event of a stream, says of the call. `None` where it says
    nothing.

    `usage` is the provider's own usage block. `error` is the provider's name of what went wrong.
    `last` is whether nothing that concerns metering can follow. `region` is where it was served, if
    the provider says. `quantities` are amounts, by unit, that the answer shows outside of a usage
    block: its images, its searches. `deferred` is whether the provider works on after this answer,
    so that its counts are in the one that is fetched later. `operation` is what a line of a file of
    results was asked for. `beside` are uses of other models in the course of the answer, whose
    usage is not in its own: each is a record of its own.
    """

    response_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: Json | None = None
    error: str | None = None
    last: bool = False
    region: str | None = None
    quantities: Mapping[str, int | float] = {}
    deferred: bool = False
    operation: str | None = None
    beside: tuple["Reading", ...] = ()


NOTHING: Final = Reading()
"""What says nothing."""


Read = Callable[[Json], Reading]

READ_MEMBERS: Final[dict[Read, tuple[str, ...]]] = {}
"""What `reads` says of functions."""


def reads(*names: str) -> Callable[[Read], Read]:
    """For a function that reads no members of a whole body but these: of an answer that holds a thousand embeddings,
    the others need not be parsed."""

    def noted(read: Read) -> Read:
        READ_MEMBERS[read] = names
        return read

    return noted


def no_texts(body: Json) -> Iterable[str]:
    """For endpoints whose usage is not tokens of text."""
    return ()


def nothing_asked(body: Json) -> Attributes:
    """For endpoints where only the answer shows what was used."""
    return {}


def itself(body: Json) -> Json:
    """The content of most requests: their body."""
    return body


class Endpoint(NamedTuple):
    """One endpoint of a provider's API.

    `read` takes a whole response body, `read_event` one event of a stream, both as parsed JSON.
    `attributes` turns the usage block, merged over the events of a stream, into span attributes.
    `telling` are byte strings of which every stream event worth reading, after the first, holds at
    least one: the others are not parsed.

    `prompt` gives the texts of a request body, `said` those of a stream event: from them tokens are
    estimated where the provider's count never came. They are counted and forgotten.

    `asked` gives the span attributes of the amounts that the request alone determines, exactly
    (characters to be spoken): they are used once the provider has accepted it.

    `read_headers` reads what a provider says in the response's headers (lower-case names) alone.
    `fetches` marks an endpoint that gives a response made earlier: metered at most once per
    response id and process, and only if the response's own call could not be (a background
    response). `results` reads one line of a file of results, each of which is a call of its own.

    `framing` is how its streams are cut into events where their content type does not tell.

    `output_limit` is where a request may bound the tokens of its output: names from member to member of its `content`,
    which is its body, but where that holds JSON within JSON.
    """

    operation: str
    read: Callable[[Json], Reading]
    read_event: Callable[[Json], Reading]
    attributes: Callable[[Json], Attributes]
    telling: tuple[bytes, ...] = ()
    prompt: Callable[[Json], Iterable[str]] = no_texts
    said: Callable[[Json], Iterable[str]] = no_texts
    read_headers: Callable[[Mapping[str, str]], Reading] | None = None
    fetches: bool = False
    results: Callable[[Json], Reading] | None = None
    asked: Callable[[Json], Attributes] = nothing_asked
    framing: Callable[[], Framing] | None = None
    output_limit: tuple[str, ...] | None = None
    content: Callable[[Json], Json] = itself


def endpoint_for(endpoints: Mapping[str, Endpoint], method: str, url: str) -> Endpoint | None:
    """The endpoint of a request to a URL, which may be relative, with or without a slash, or
    absolute. `endpoints` are keyed `POST /chat/completions`: the method and the end of the path,
    longer ones first, with `*` for any one path segment.
    """
    segments = ["", *filter(None, urlsplit(url).path.split("/"))]
    return next(
        (
            endpoint
            for key, endpoint in endpoints.items()
            if _matches(key, method.upper(), segments)
        ),
        None,
    )


def _matches(key: str, method: str, segments: list[str]) -> bool:
    wanted_method, _, path = key.partition(" ")
    wanted = path.split("/")[1:]
    end = segments[-len(wanted) :]
    return (
        method == wanted_method
        and len(segments) > len(wanted)
        and all(want in ("*", segment) for want, segment in zip(wanted, end, strict=True))
    )


def mapping(value: object) -> Json:
    """The value if it is a JSON object, else an empty one: what a provider leaves out is often
    `null`."""
    # Of parsed JSON it is a dict or nothing: to ask whether it is any other mapping takes ten times as long.
    if type(value) is dict or (value is not None and isinstance(value, Mapping)):
        return cast("Json", value)
    return {}


def items(value: object) -> Sequence[Any]:
    """The value if it is a JSON array, else an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


def counts(values: Json) -> Attributes:
    """The values that are whole numbers; what the provider left out is left out. 0 is kept: it was
    said."""
    return {name: value for name, value in values.items() if type(value) is int}


def amounts(values: Json) -> Attributes:
    """The values that are numbers, whole or not: seconds, pages, search units."""
    return {name: value for name, value in values.items() if type(value) in (int, float)}
