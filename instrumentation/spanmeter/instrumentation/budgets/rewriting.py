"""Requests whose body can be replaced before they are sent."""

from collections.abc import Callable
from typing import Any, NamedTuple

from spanmeter.instrumentation.endpoint import Json


class Rewriting(NamedTuple):
    """Where a body is put, and under which name it has its model."""

    put: Callable[[dict[str, Any]], None]
    model: str = "model"

    def rewrite(self, body: Json) -> None:
        """Puts another body in place."""
        self.put({**body})

    def rename(self, model: str, body: Json) -> Json:
        """Puts the body in place with another model; which that is."""
        renamed = {**body, self.model: model}
        self.put(renamed)
        return renamed
