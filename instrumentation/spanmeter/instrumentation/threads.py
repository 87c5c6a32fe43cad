"""Threads and executors of the standard library, each working for whoever asked it to.

`asyncio.to_thread` and tasks carry the context by themselves; `loop.run_in_executor` does not, and
goes through `submit`.
"""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import wrapt
from opentelemetry.context import Context, attach, get_current

from spanmeter.instrumentation.call import outliving
from spanmeter.instrumentation.carrying import Carried
from spanmeter.instrumentation.guard import guarded

THREAD_CONTEXT: Final = "SPANMETER_THREAD_CONTEXT"
"""`inherit`, or `none` where threads are started on behalf of one tenant to work for all."""

SHARED: Final = (
    "anyio",
    "asyncio",
    "concurrent.futures",
    "logging",
    "multiprocessing",
    "opentelemetry",
    "spanmeter",
)
"""Modules whose threads work for everybody, one item after the other, whoever had them started."""


def carry_into_threads(module: Any) -> None:
    """Patches `threading`."""
    if os.environ.get(THREAD_CONTEXT) != "none":
        wrapt.wrap_function_wrapper(module, "Thread.start", _start)


def carry_into_executors(module: Any) -> None:
    """Patches `concurrent.futures.thread`."""
    wrapt.wrap_function_wrapper(module, "ThreadPoolExecutor.submit", _submit)


def _start(
    wrapped: Callable[..., Any],
    instance: threading.Thread,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    _inherit(instance)
    return wrapped(*args, **kwargs)


@guarded
def _inherit(thread: threading.Thread) -> None:
    context = get_current()
    if context and thread.ident is None and not is_of(made_of(thread), SHARED):
        # On the thread itself, so that a `run` of its own class is covered too.
        thread.run = _running_in(outliving(context), thread, thread.run)  # type: ignore[method-assign]


def _running_in(
    context: Context, thread: threading.Thread, run: Callable[[], None]
) -> Callable[[], None]:
    def run_in_context() -> None:
        vars(thread).pop("run", None)  # or the thread would keep itself alive
        # For good: nothing leads back to what the thread may have inherited, as Python may be told to have it.
        _attach(context)
        run()

    return run_in_context


_attach: Final = guarded(attach)


def is_of(module: str, packages: Iterable[str]) -> bool:
    """Whether a module is, or is within, one of these."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def made_of(runner: Any) -> str:
    """The module of what a thread or process runs."""
    target: Any = getattr(runner, "_target", None)
    # An instance has the module of its class.
    return str(getattr(runner if target is None else target, "__module__", ""))


def _submit(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return wrapped(*(_carried(args) or args), **kwargs)


@guarded
def _carried(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Always in a context of its own, or what an earlier item left behind would be in force."""
    # An executor of interpreters takes scripts, as text.
    return (Carried(args[0], get_current()), *args[1:]) if args and callable(args[0]) else args
