"""What is measured: the names, units and meanings of the collector's own metrics, and where each is read.

The names follow OpenTelemetry's conventions; Prometheus shows `spanmeter.collector.commit.duration` (s) as
`spanmeter_collector_commit_duration_seconds`, and a counter with `_total` at its end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from spanmeter.collector_receiver.committer import Waiting
from spanmeter.collector_receiver.counters import Counters, Counts
from spanmeter.collector_receiver.database_watch import Gaps
from spanmeter.collector_receiver.decode import DECODER

PREFIX: Final = "spanmeter.collector."

COMMIT_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
COMMIT_ROWS: Final = (1, 10, 100, 500, 1000, 2000, 4000, 8000, 16000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Where the collector tells of itself. What is None is not known now, and not shown."""

    counters: Counters
    waiting: Callable[[], Waiting]
    journal_bytes: Callable[[], int | None]
    available: Callable[[], bool]
    gaps: Callable[[], Gaps]


class CommitInstruments:
    """Records each group commit."""

    def __init__(self, meter: Meter) -> None:
        self._duration = meter.create_histogram(
            PREFIX + "commit.duration",
            "s",
            "How long the transactions took that committed",
            explicit_bucket_boundaries_advisory=COMMIT_SECONDS,
        )
        self._rows = meter.create_histogram(
            PREFIX + "commit.rows",
            "{row}",
            "Rows of one transaction, those that were there already included",
            explicit_bucket_boundaries_advisory=COMMIT_ROWS,
        )

    def __call__(self, seconds: float, rows: int) -> None:
        """One transaction has committed."""
        self._duration.record(seconds)
        self._rows.record(rows)


@dataclass(frozen=True, slots=True)
class _Observed:
    name: str
    unit: str
    description: str
    read: Callable[[Readings], Iterable[Observation]]


def _one(value: int | None) -> Iterable[Observation]:
    return [] if value is None else [Observation(value)]


def _by(name: str, values: Mapping[str, int]) -> Iterable[Observation]:
    return [Observation(value, {name: key}) for key, value in values.items()]


def _outcomes(counts: Counts) -> Mapping[str, int]:
    """Each span once."""
    return {
        "stored": counts.stored - counts.same_call,
        "same_call": counts.same_call,
        "duplicate": counts.duplicates,
        "rejected": counts.rejected,
        "not_llm": counts.not_llm,
        "tracing_copy": counts.tracing_copies,
    }


def _redelivered(counts: Counts) -> Mapping[str, int]:
    return {"joined": counts.joined, "answered": counts.answered_again}


def _evaluations(counts: Counts) -> Mapping[str, int]:
    return {"stored": counts.evaluations, "unusable": counts.unusable_evaluations}


_COUNTERS: Final[Sequence[_Observed]] = (
    _Observed(
        "span.received",
        "{span}",
        "Spans received",
        lambda of: _one(of.counters.read().received),
    ),
    _Observed(
        "span.processed",
        "{span}",
        "Spans by what became of them",
        lambda of: _by("outcome", _outcomes(of.counters.read())),
    ),
    _Observed(
        "span.rejected",
        "{span}",
        "Spans kept in rejected_spans, by reason",
        lambda of: _by("reason", of.counters.rejections()),
    ),
    _Observed(
        "span.journaled",
        "{span}",
        "Spans acknowledged from the journal",
        lambda of: _one(of.counters.read().journaled),
    ),
    _Observed(
        "span.unpriced",
        "{span}",
        "Spans committed without a cost",
        lambda of: _one(of.counters.read().unpriced),
    ),
    _Observed(
        "span.unattributed",
        "{span}",
        "Spans committed without a tenant",
        lambda of: _one(of.counters.read().unattributed),
    ),
    _Observed(
        "span.shared_id",
        "{span}",
        "Spans stored with the response id of another call, and counted beside it",
        lambda of: _one(of.counters.read().shared_ids),
    ),
    _Observed(
        "evaluation.processed",
        "{evaluation}",
        "Evaluations by what became of them",
        lambda of: _by("outcome", _evaluations(of.counters.read())),
    ),
    _Observed(
        "request.refused",
        "{request}",
        "Export requests answered with an error, by reason",
        lambda of: _by("reason", of.counters.refusals()),
    ),
    _Observed(
        "request.redelivered",
        "{request}",
        "Export requests that came again and were not taken a second time, by what was made of them",
        lambda of: _by("outcome", _redelivered(of.counters.read())),
    ),
)

_AMOUNTS: Final[Sequence[_Observed]] = (
    _Observed(
        "queue.rows",
        "{row}",
        "Rows that wait for their commit",
        lambda of: _one(of.waiting().rows),
    ),
    _Observed(
        "queue.size",
        "By",
        "Memory of requests that wait for their commit or are in it",
        lambda of: _one(of.waiting().bytes),
    ),
    _Observed(
        "journal.size",
        "By",
        "Size of the journal on disk",
        lambda of: _one(of.journal_bytes()),
    ),
)

_GAUGES: Final[Sequence[_Observed]] = (
    _Observed(
        "producer.missing",
        "{record}",
        "Numbered records of the last day that did not arrive",
        lambda of: _one(of.gaps().missing),
    ),
    _Observed(
        "producer.dropped",
        "{record}",
        "Records that producers of the last day had to give up",
        lambda of: _one(of.gaps().dropped),
    ),
    _Observed(
        "database.available",
        "{database}",
        "1 while the database takes rows, else 0",
        lambda of: _one(int(of.available())),
    ),
    _Observed(
        "decoder.info",
        "{decoder}",
        "The decoder that is in use",
        lambda _: _by("decoder", {DECODER: 1}),
    ),
)


def observe(meter: Meter, readings: Readings) -> None:
    """Have the meter read everything else when it is asked."""
    for make, table in (
        (meter.create_observable_counter, _COUNTERS),
        (meter.create_observable_up_down_counter, _AMOUNTS),
        (meter.create_observable_gauge, _GAUGES),
    ):
        for each in table:
            make(PREFIX + each.name, [_callback(each, readings)], each.unit, each.description)


def _callback(
    observed: _Observed, readings: Readings
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda _: observed.read(readings)
