"""Never in the way: whatever goes wrong in here is logged, and the application's call goes on."""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from spanmeter.instrumentation.errors import SpanmeterError

P = ParamSpec("P")
R = TypeVar("R")

_logger = logging.getLogger("spanmeter.instrumentation")
_seen: set[tuple[str, type[BaseException]]] = set()


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """The function, returning `None` where it would raise anything but what the application has
    switched on. Each kind of failure is logged once in full."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except SpanmeterError:
            raise
        except Exception as exc:  # noqa: BLE001 - this is the one place whose purpose is to catch all
            report(function.__qualname__, exc)
            return None

    return wrapper


def report(where: str, exc: BaseException) -> None:
    """Logs a failure of ours: the first of its kind as an error, the rest at debug level."""
    kind = (where, type(exc))
    level = logging.DEBUG if kind in _seen else logging.ERROR
    _seen.add(kind)
    _logger.log(level, "%s failed; the call goes on, its usage may be missing", where, exc_info=exc)
