"""Metering records on their own way to the collector, whatever the application's tracing does."""

import os
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind

from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.guard import guarded, report
from spanmeter.instrumentation.pipeline import encoding, lifecycle
from spanmeter.instrumentation.pipeline.leftovers import find_leftovers
from spanmeter.instrumentation.pipeline.process import Process
from spanmeter.instrumentation.pipeline.python_spans import Fields
from spanmeter.instrumentation.pipeline.settings import PipelineSettings
from spanmeter.instrumentation.pipeline.status import PipelineStatus

_settle: Final = guarded(aside.settle)
"""Waits for the records that another thread has yet to make."""

_scope = lru_cache(maxsize=256)(encoding.scope)


class Pipeline:
    """Takes a record of each metered call, and sees to it that the collector gets it.

    It needs no `TracerProvider`. Its thread, its files and its connection come with the first record;
    a forked child has its own. Nothing here raises into the application.
    """

    def __init__(self, settings: PipelineSettings, resource: Resource) -> None:
        self.settings = settings
        self._resource = resource
        self._process: Process | None = None
        self._beginning = threading.Lock()
        lifecycle.watch(self, handle_sigterm=settings.handle_sigterm)

    @classmethod
    def from_environ(cls) -> "Pipeline":
        """The pipeline that the environment describes, with the resource that the SDK would give its
        spans."""
        return cls(PipelineSettings.from_environ(os.environ), Resource.create())

    def record(
        self,
        *,
        scope_name: str,
        scope_version: str,
        name: str,
        trace_id: int,
        span_id: int,
        start_ns: int,
        end_ns: int,
        attributes: Mapping[str, object],
        parent_span_id: int = 0,
        kind: SpanKind = SpanKind.CLIENT,
        failed: bool = False,
        trace_flags: int = 0,
        trace_state: str = "",
        dropped_attributes: int = 0,
    ) -> None:
        """Keeps a record, which is a span on the wire. Times are nanoseconds since 1970; a parent of
        0 is none. `dropped_attributes` is how many the span had, and has no more.

        With write-ahead it is on disk once this returns. A record that there is no place for is
        counted, logged and told to the collector.
        """
        try:
            rest = encoding.rest(
                status=encoding.STATUS_ERROR if failed else encoding.STATUS_UNSET,
                trace_state=trace_state,
                dropped_attributes=dropped_attributes,
            )
            scope, named = _scope(scope_name, scope_version), encoding.name(name)
            number, own = encoding.KINDS[kind], dict(attributes)
        except Exception as exc:  # noqa: BLE001 - never in the way of the call
            self.lose("Pipeline.record", exc)
            return
        ids = (trace_id, span_id, parent_span_id)
        self.keep(scope, (*ids, named, number, start_ns, end_ns, b"", own, rest, trace_flags))

    def keep(self, scope: bytes, fields: Fields) -> None:
        """Keeps a record, of a scope that is encoded already: the fields of its span."""
        process = self._process or self._begin()
        if process is None:
            return
        sequence = next(process.sequence)
        try:
            waiting = process.outbox.put(scope, encoding.span(fields, sequence))
        except Exception as exc:  # noqa: BLE001 - never in the way of the call
            report("Pipeline.keep", exc)
            process.outbox.drop(1)
            return
        process.sender.notice(waiting)

    @guarded
    def lose(self, where: str, exc: Exception) -> None:
        """Counts a record that could not be made: the gap in the sequence is seen by the collector."""
        report(where, exc)
        process = self._process or self._begin()
        if process is not None:
            next(process.sequence)
            process.outbox.drop(1)

    @guarded
    def adopt(self) -> None:
        """Delivers what processes of the service have left that died, if any have, and logs what there is
        that is not for it to deliver. Without it they wait for the first record of this process."""
        if find_leftovers(self.settings, self._resource) and (process := self._begin()):
            process.sender.look()

    def flush(self, timeout: float = 10.0) -> bool:
        """Delivers at once what there is. Whether, after so many seconds at most, the collector has
        acknowledged every record that this process had kept; records that it refused are not."""
        deadline = time.monotonic() + timeout
        _settle(timeout)
        process = self._process
        return process is None or process.sender.flush(deadline - time.monotonic())

    def shutdown(self, timeout: float | None = None) -> None:
        """Delivers what it can in so many seconds (by default `exit_timeout`), and leaves the rest on
        disk, for the next process of the service. What is recorded later goes there too."""
        patience = self.settings.exit_timeout if timeout is None else timeout
        deadline = time.monotonic() + patience
        _settle(patience)
        process = self._process
        if process is not None:
            process.end(max(0.0, deadline - time.monotonic()))

    def status(self) -> PipelineStatus:
        """Where records go, and what became of those of this process."""
        process = self._process
        return (
            process.status(self.settings)
            if process
            else PipelineStatus.before_first_record(self.settings)
        )

    def after_fork(self) -> None:
        """In the child: begins anew, with the first record. What is the parent's stays the parent's."""
        inherited, self._process = self._process, None
        self._beginning = threading.Lock()
        if inherited is not None:
            inherited.abandon()

    @guarded
    def _begin(self) -> Process:
        with self._beginning:
            if self._process is None:
                self._process = Process(self.settings, self._resource)
                lifecycle.at_end_of_child(self.shutdown)
            return self._process
