"""The record of what came in and what was served: the provider's side of the bill."""

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulated_provider.prices import Tokens


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived, to the byte (header names in lower case)."""

    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def raw(self) -> bytes:
        """Everything the client sent, in one piece: for "this must not be in there"."""
        lines = [f"{self.method} {self.path}".encode()]
        lines += [name + b": " + value for name, value in self.headers]
        return b"\r\n".join([*lines, b"", self.body])

    def header(self, name: str) -> str | None:
        """The first header of that name, or None."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Served:
    """One attempt, as the provider books it.

    `usage` is the block as it was sent, or would have been had the client asked for it or stayed;
    `completed` says whether the whole answer went out. Errors carry no usage and cost nothing.
    """

    api: str
    model: str
    response_model: str | None
    response_id: str | None
    status: int
    streamed: bool
    completed: bool
    usage: dict[str, Any]
    tokens: Tokens
    cost: Decimal


class Record:
    """All requests and all answers, in order. Safe to use from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[Received] = []
        self._served: list[Served] = []

    @property
    def requests(self) -> list[Received]:
        """Every request so far."""
        with self._changed:
            return list(self._requests)

    @property
    def served(self) -> list[Served]:
        """Every finished attempt so far."""
        with self._changed:
            return list(self._served)

    def add_request(self, request: Received) -> None:
        """Note a request, before it is answered."""
        with self._changed:
            self._requests.append(request)

    def add_served(self, served: Served) -> None:
        """Note an attempt, just before its last byte goes out."""
        with self._changed:
            self._served.append(served)
            self._changed.notify_all()

    def wait(self, count: int, timeout: float) -> list[Served]:
        """All attempts, once there are `count`. Raises TimeoutError.

        Needed only where the client leaves first: otherwise an answer is booked before its end
        reaches the client.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._served) >= count, timeout):
                raise TimeoutError(f"{len(self._served)} of {count} attempts after {timeout} s")
            return list(self._served)


def summary(served: Iterable[Served]) -> dict[str, Any]:
    """The bill as JSON: overall and for each response model, cost as a decimal string.

    Token fields are named and counted as in the ledger: input includes cache reads and writes.
    """
    attempts = list(served)
    models = sorted({each.response_model for each in attempts if each.response_model is not None})
    by_model = {model: [a for a in attempts if a.response_model == model] for model in models}
    return _totals(attempts) | {"models": {model: _totals(of) for model, of in by_model.items()}}


def _totals(attempts: list[Served]) -> dict[str, Any]:
    tokens = sum((each.tokens for each in attempts), Tokens())
    return {
        "requests": len(attempts),
        "errors": sum(each.status >= 400 for each in attempts),
        "input_tokens": tokens.input,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_write_input_tokens": tokens.cache_write + tokens.cache_write_1h,
        "output_tokens": tokens.output,
        "reasoning_output_tokens": tokens.reasoning,
        "cost": format(sum((each.cost for each in attempts), Decimal(0)), "f"),
    }
