"""The measure: psycopg's binary COPY of the load's rows straight into the ledger: `raw_copy.py DSN SECONDS`.

One connection, a transaction per 8,192 rows, as large as the collector's own. Only COPY and COMMIT are timed: making
the rows is what the collector is there for. Prints a line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from traffic import Traffic

from spanmeter.collector_receiver.decode import decode
from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.usage_json import UsageJsonDumper

ROWS = 8192
COPY = sql.SQL("COPY usage_events ({}) FROM STDIN (FORMAT binary)").format(
    sql.SQL(", ").join(map(sql.Identifier, UsageEvent._fields))
)
TYPES = """
    SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = 'usage_events'::regclass AND attnum > 0 AND NOT attisdropped
"""


def rows() -> list[UsageEvent]:
    """The rows that the collector makes of the load."""
    meter, now = Meter(Rates.pinned()), datetime.now(UTC)
    received = decode(Traffic(ROWS).renewed(), max_spans=ROWS)
    events = [meter.meter(span, now) for span, _ in received]
    return [event for event in events if event is not None]


def renewed(events: Sequence[UsageEvent]) -> list[UsageEvent]:
    """The same rows as new calls."""

    def ids() -> Iterator[bytes]:
        fresh = os.urandom(16 * len(events))
        return (fresh[at : at + 16] for at in range(0, len(fresh), 16))

    return [
        event._replace(trace_id=trace_id, response_id=f"chatcmpl-{trace_id.hex()}")
        for event, trace_id in zip(events, ids(), strict=True)
    ]


def main(dsn: str, seconds: float) -> None:
    """Copies for so many seconds."""
    template = rows()
    copied, took, used = 0, 0.0, 0.0
    with psycopg.connect(dsn, autocommit=True) as connection:
        types: dict[str, str] = dict(connection.execute(TYPES).fetchall())
        connection.adapters.register_dumper(dict, UsageJsonDumper)
        while took < seconds:
            batch = renewed(template)
            started, begun = time.monotonic(), time.process_time()
            with connection.transaction(), connection.cursor().copy(COPY) as copy:
                copy.set_types([types[name] for name in UsageEvent._fields])
                for row in batch:
                    copy.write_row(row)
            took += time.monotonic() - started
            used += time.process_time() - begun
            copied += len(batch)
    print(json.dumps({"spans": copied, "seconds": took, "cpu": used}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
