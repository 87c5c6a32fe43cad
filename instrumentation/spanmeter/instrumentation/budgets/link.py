"""The way to the collector: the one that records go, with another address on it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from spanmeter.instrumentation.endpoint import mapping
from spanmeter.instrumentation.pipeline.answers import Told
from spanmeter.instrumentation.pipeline.destination import TRACES_PATH, Destination
from spanmeter.instrumentation.pipeline.exchange import BUDGETS, exchange_with

PATH: Final = "/v1/spanmeter/budgets"
TIMEOUT: Final = 3.0
"""Seconds that an answer may take."""


class NoAnswer(Exception):
    """The collector cannot be reached, does not answer as it should, or knows of no budgets."""


class Link:
    """One question after the other, over a connection that is kept. Not thread-safe."""

    def __init__(self, destination: Destination) -> None:
        prefix = destination.path.removesuffix(TRACES_PATH)
        path = prefix + PATH if destination.path else ""
        timeout = min(TIMEOUT, destination.timeout)
        asked = replace(destination, path=path, gzip=False, timeout=timeout)
        self._exchange = exchange_with(asked, BUDGETS)

    def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer. Raises `NoAnswer`."""
        body = json.dumps(question, separators=(",", ":"), ensure_ascii=False)
        answer = self._exchange.send(body.encode("utf-8", "replace"))
        if not isinstance(answer, Told):
            raise NoAnswer(getattr(answer, "reason", "no answer"))
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = None
        told = mapping(document)
        if "version" not in told:
            # Another collector takes records there, and says yes to anything.
            raise NoAnswer("the collector knows of no budgets")
        return told

    def close(self) -> None:
        """Closes the connection; the next question opens another."""
        self._exchange.close()
