"""A function that fails, and knows how often it did; and the functions of ours that it may be put into."""

from __future__ import annotations

import gc
import inspect
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import NoReturn

OURS = "spanmeter.instrumentation."

raised: list[BaseException] = []


def fail(*args: object, **kwargs: object) -> NoReturn:
    """Stands in for a function of ours. Its code is put into that, and so finds no names of here."""
    from unit.instrumentation import faults

    faults.raised.append(RuntimeError("a fault of ours"))
    raise faults.raised[-1]


def functions_of(modules: Iterable[ModuleType]) -> Iterator[FunctionType]:
    """Every function and method that is defined in these modules."""
    for module in modules:
        for value in vars(module).values():
            if getattr(value, "__module__", None) != module.__name__:
                continue
            members = vars(value).values() if inspect.isclass(value) else [value]
            for member in members:
                function = inspect.unwrap(getattr(member, "__func__", member))
                if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                    yield function


def reached(use: Callable[[], object]) -> Mapping[CodeType, list[FunctionType]]:
    """The functions of ours that a use passes through, closures too, by the code that they share."""
    ran: set[CodeType] = set()

    def note(frame: FrameType, event: str, arg: object) -> None:
        ran.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        use()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    found: dict[CodeType, list[FunctionType]] = {}
    for function in gc.get_objects():
        if not isinstance(function, FunctionType) or function.__code__ not in ran:
            continue
        # Where it is defined: a wrapper says that it is of the module of what it wraps.
        if str(function.__globals__.get("__name__")).startswith(OURS):
            found.setdefault(function.__code__, []).append(function)
    return found


@contextmanager
def broken(functions: Iterable[FunctionType]) -> Generator[None]:
    """Has these functions fail."""
    working = [(function, function.__code__) for function in functions]
    raised.clear()
    for function, code in working:
        # A closure takes only code with as many variables of its own.
        function.__code__ = fail.__code__.replace(co_freevars=code.co_freevars)
    try:
        yield
    finally:
        for function, code in working:
            function.__code__ = code
