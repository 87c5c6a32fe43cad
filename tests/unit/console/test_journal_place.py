"""Where the journal of a ledger is, and what is told of it."""

from datetime import UTC, datetime
from pathlib import Path

from spanmeter.collector_receiver.journal import Journal
from spanmeter.collector_receiver.journal_segment import Entry
from spanmeter.console.journal_place import journal_directory, journal_state
from spanmeter.console.settings import Settings

DSN = "host=db.internal dbname=usage"
ENTRY = Entry(b"request" * 100, datetime.now(UTC))


def test_each_database_has_a_directory_of_its_own(tmp_path: Path) -> None:
    settings = Settings(journal=tmp_path)
    places = {journal_directory(settings, f"{DSN} port={port}") for port in (5432, 5433)}
    assert len(places) == 2
    assert all(place is not None and place.parent == tmp_path for place in places)


def test_asking_about_a_journal_that_is_not_there_makes_none(tmp_path: Path) -> None:
    settings = Settings(journal=tmp_path / "journal")
    assert journal_state(settings, DSN) == {"journal": None}
    assert not (tmp_path / "journal").exists()


def test_what_waits_and_what_is_set_aside_is_told_apart(tmp_path: Path) -> None:
    settings = Settings(journal=tmp_path)
    directory = journal_directory(settings, DSN)
    assert directory is not None
    journal = Journal(directory, max_bytes=1_000_000)
    try:
        journal.append([ENTRY])
        (broken,) = journal.seal()
        journal.set_aside(broken)
        journal.append([ENTRY])
        state = journal_state(settings, DSN)
    finally:
        journal.close()
    assert state == {
        "journal": str(directory),
        "journal_bytes": journal.bytes,
        "journal_set_aside": 1,
    }
    assert journal.bytes > 0
