"""How long what is booked is kept, and what has left, as a person wants to see it."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.storage.connection import Connection
from spanmeter.storage.edition import Edition
from spanmeter.storage.keeping import WHAT, Dropped, Kept, chunks_of, dropped, retention

_COLUMNS: Final = (
    Column("what", "what"),
    Column("keep", "kept for", missing="ever"),
    Column("set_by", "laid down by"),
    Column("set_at", "at"),
)


def retention_listing(connection: Connection) -> Listing:
    """What is kept for how long; below, what has left lately."""
    laid_down = {each.what: each for each in retention(connection)}
    rows: list[Sequence[Value]] = []
    for what in WHAT:
        each = laid_down.get(what)
        rows.append(
            (what, None, None, None)
            if each is None
            else (what, length(each.keep), each.set_by, each.set_at)
        )
    return Listing(columns=_COLUMNS, rows=rows, notes=list(map(_left, dropped(connection, 10))))


def in_words(kept: Kept) -> str:
    """What a round did, a line for each thing."""
    return "".join(f"{line}\n" for line in _lines(kept))


def chunk_facts(connection: Connection, edition: Edition) -> dict[str, Value]:
    """By hypertable its chunks: how many, from when the oldest is, how much time a new one spans."""
    found: dict[str, Value] = {}
    for table in edition.hypertables:
        chunks = chunks_of(connection, table)
        spanning = None if chunks.interval is None else length(chunks.interval)
        found[f"chunks_of_{table}"] = chunks.chunks
        found[f"{table}_begins"] = chunks.since
        found[f"new_chunks_of_{table}_span"] = spanning
        if edition.kind == "community":
            found[f"chunks_of_{table}_in_columnstore"] = chunks.in_columnstore
    return found


def length(time: timedelta) -> str:
    """A length of time in the form that flags take."""
    days, seconds = time.days, time.seconds
    return f"{days}d" if not seconds else f"{days * 24 + seconds / 3600:g}h"


def _lines(kept: Kept) -> Iterator[str]:
    for table, held in kept.held.items():
        yield f"{table}: what was old has left" if held is None else f"{table} stays: {held}"
    yield f"rejected_spans: {kept.rejected} have left"
    if kept.interval is not None:
        yield f"new chunks span {length(kept.interval)}"
    if kept.in_columnstore is not None:
        yield f"{kept.in_columnstore} moved to the columnstore"


def _left(entry: Dropped) -> str:
    amount = f"{entry.rows:,} rows" if entry.chunks is None else f"{entry.chunks} chunks"
    return (
        f"{entry.dropped_at:%Y-%m-%d %H:%M} {amount} of {entry.dropped_from} left, from before "
        f"{entry.before:%Y-%m-%d %H:%M}{', not all of them sealed' if entry.unsealed else ''}"
    )
