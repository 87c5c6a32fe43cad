"""How targets are asked over HTTP: a key from the environment, bounded answers, and what they mean."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx2

from spanmeter.console.bills import documents
from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.target import NotTaken, Outcome, Refused, TargetUnusable, Unknown

TIMEOUT: Final = 30.0
"""Seconds until an answer is given up."""

MAX_ANSWER: Final = 1024 * 1024

LATER: Final = frozenset({409, 425, 429})
"""Statuses of requests that were not taken, and can be sent again: in conflict with another, too early, too many."""

_UNAUTHORIZED: Final = frozenset({401, 403})
_TIMED_OUT: Final = 408
_TOO_MANY: Final = 429
_PAUSE: Final = 1.0
_UNAVAILABLE: Final = 503
_SERVER_ERROR: Final = 500


class Answer:
    """What a target answered: a status, and its body as JSON where it is that."""

    def __init__(self, response: httpx2.Response, content: bytes) -> None:
        self.status = response.status_code
        self.after = seconds(response.headers.get("retry-after"))
        self.body = _parsed(content)

    @property
    def succeeded(self) -> bool:
        """Whether the status says so."""
        return 200 <= self.status < 300

    def outcome(self, said: str | None) -> Outcome:
        """What an answer that is no success means, in general; `said` is what the target says is wrong."""
        reason = f"status {self.status}" + (f": {said:.300}" if said else "")
        if self.status in _UNAUTHORIZED:
            raise TargetUnusable(f"the target refuses the key: {reason}")
        if self.status in LATER or (self.status == _UNAVAILABLE and self.after is not None):
            # Who is told of too many requests is not to go on with the next at once.
            least = _PAUSE if self.status == _TOO_MANY else None
            return NotTaken(reason, least if self.after is None else self.after)
        if self.status >= _SERVER_ERROR or self.status == _TIMED_OUT:
            return Unknown(reason)
        return Refused(reason)


class Api:
    """One target's HTTP API."""

    def __init__(
        self, configured: Configured, address: str, *, scheme: str = "Bearer", **headers: str
    ) -> None:
        self._secret = _secret(configured)
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._secret and scheme == "Bearer":
            told["authorization"] = f"Bearer {self._secret}"
        self._client = httpx2.Client(
            base_url=configured.options.get("address", address),
            headers=told,
            auth=(self._secret, "") if self._secret and scheme == "Basic" else None,
            timeout=TIMEOUT,
        )

    def ask(self, method: str, path: str, **request: Any) -> Answer | NotTaken | Unknown:
        """The answer; or that nothing was sent, or that nobody knows. Never raises for the network."""
        try:
            with self._client.stream(method, path, **request) as response:
                return Answer(response, _bounded(response))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return NotTaken(f"the target cannot be reached: {error!r:.200}")
        except httpx2.TransportError as error:
            return Unknown(f"no answer came: {error!r:.200}")

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def seconds(told: str | None) -> float | None:
    """How long a `Retry-After` says, in seconds; a date there is not read."""
    return float(told) if told is not None and told.isascii() and told.isdigit() else None


def as_object(value: object) -> Mapping[str, Any]:
    """A JSON object; anything else is an empty one."""
    return documents.as_object(value) or {}


def as_objects(value: object) -> Sequence[Mapping[str, Any]] | None:
    """A JSON array of objects; `None` for anything else."""
    found = documents.as_list(value)
    return None if found is None else [as_object(each) for each in found]


def as_text(value: object) -> str | None:
    """A text; `None` for anything else."""
    return value if isinstance(value, str) else None


def _secret(configured: Configured) -> str | None:
    name = configured.options.get("key_env")
    if name is None:
        return None
    if not (secret := os.environ.get(name, "").strip()):
        raise TargetUnusable(f"the environment variable {name} does not hold a key")
    return secret


def _bounded(response: httpx2.Response) -> bytes:
    content = b""
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER:
            return b""
    return content


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
