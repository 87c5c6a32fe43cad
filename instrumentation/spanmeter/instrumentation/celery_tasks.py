"""Celery tasks, each working for whoever sent it: the headers of its message say who, as
OpenTelemetry's propagators write them. A broker is inside: what comes from it is believed.
"""

from typing import Any, Final

from spanmeter.instrumentation.carrying import inject, received
from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.guard import guarded

_TASK: Final = object()
"""The owner of the entries of tasks."""


def carry_into_tasks(signals: Any) -> None:
    """Connects to `celery.signals`."""
    signals.before_task_publish.connect(_sending, weak=False)
    signals.task_prerun.connect(_beginning, weak=False)
    signals.task_postrun.connect(_ended, weak=False)


def _sending(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None:
        inject(headers)


@guarded
def _beginning(task: Any = None, **_: Any) -> None:
    request = task.request
    # A task that is not sent runs in the context of its caller.
    if not request.is_eager:
        # An instrumentation that leaves a task in another order would keep the entry of the last one.
        Entry.leave_last_of(_TASK)
        Entry(received(_headers_of(request)), owner=_TASK)


@guarded
def _ended(task: Any = None, **_: Any) -> None:
    if not task.request.is_eager:
        Entry.leave_last_of(_TASK)


def _headers_of(request: Any) -> dict[str, Any]:
    """Headers of the message's own; the first protocol has them in a place of their own."""
    return {**vars(request), **(request.headers or {})}
