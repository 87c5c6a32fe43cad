"""From an application's pipeline to the ledger, while both ends die: nothing lost, nothing twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from booking import query
from collecting import CollectorProcess, Ledger, StartCollector
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.draining import drain
from spanmeter.instrumentation.pipeline.survey import survey
from unit.instrumentation.pipeline.apps import PROGRAM, environment, ids

OUTAGE = float(os.environ.get("SPANMETER_TEST_OUTAGE_SECONDS", "3"))
"""How long the collector is away under load: a moment in `make test`, a minute in `make test-outage`."""
THREADS = 4
"""Of an application. A kill may come, in each, between a record and the line that tells of it."""
SMALL = 512 * 1024
"""Bytes of a spool that an outage fills."""
LARGE = 512 * 1024 * 1024

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480 + 5 * OUTAGE)]


@contextmanager
def application(
    spool: Path, address: str, output: Path, *, max_bytes: int = LARGE
) -> Generator[subprocess.Popen[bytes]]:
    """Records calls from four threads until it is killed; what `record` returned for is in `output`."""
    environ = environment(spool, f"http://{address}", SPANMETER_SPOOL_MAX_BYTES=str(max_bytes))
    with (
        output.open("ab") as printed,
        subprocess.Popen(
            [sys.executable, str(PROGRAM), "steadily", "0"], env=environ, stdout=printed
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
    # A line that the kill cut off would run into the next process's first.
    with output.open("rb+") as whole:
        whole.truncate(output.read_bytes().rfind(b"\n") + 1)


def flush(spool: Path, address: str) -> None:
    """What `spanmeter spool flush` does."""
    (path,) = spool.glob("answers-*")
    directory = Directory(path, max_bytes=LARGE)
    destination = Destination.from_environ({"SPANMETER_ENDPOINT": f"http://{address}"})
    done = drain(directory, destination, deadline=time.monotonic() + 120)
    assert (done.failure, directory.segments()) == (None, [])


def recorded(output: Path) -> list[int]:
    return ids(output.read_text()) if output.exists() else []


def wait_until(fulfilled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not fulfilled():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def outage(
    collector: CollectorProcess, dsn: str, start: StartCollector, tmp_path: Path, *, max_bytes: int
) -> None:
    """The collector is killed under load and stays away; meanwhile the application is killed and started
    again. Both are back in the end, and the application ends in order."""
    spool, output = tmp_path / "spool", tmp_path / "recorded"
    running = partial(application, spool, collector.address, output, max_bytes=max_bytes)

    def has_dropped() -> bool:
        return any(each.dropped for each in survey(spool, max_bytes=max_bytes))

    with running():
        wait_until(lambda: len(recorded(output)) >= 200)
        collector.kill()
        time.sleep(OUTAGE / 2)
        if max_bytes == SMALL:
            wait_until(has_dropped)
    with running() as second:
        before = len(recorded(output))
        time.sleep(OUTAGE / 2)
        wait_until(lambda: len(recorded(output)) >= before + 100)
        shutil.copytree(spool, tmp_path / "kept")
        start(dsn, collector.address)
        rows = Ledger(dsn).count()
        wait_until(lambda: Ledger(dsn).count() >= rows + 100)
        second.send_signal(signal.SIGTERM)
        second.wait(60)


def replay_twice(spool: Path, kept: Path, address: str) -> None:
    """Delivers what is left, and then twice more what was in the spool during the outage."""
    flush(spool, address)
    for _ in range(2):
        shutil.copytree(kept, spool, dirs_exist_ok=True)
        flush(spool, address)


def rows_of(dsn: str) -> list[int]:
    rows = [int.from_bytes(span_id, "big") for span_id in Ledger(dsn).spans()]
    assert len(rows) == len(set(rows)), "nothing twice"
    return rows


def test_an_outage_in_which_the_application_is_killed(
    timescale_dsn: str, start_collector: StartCollector, tmp_path: Path
) -> None:
    collector = start_collector(timescale_dsn)
    outage(collector, timescale_dsn, start_collector, tmp_path, max_bytes=LARGE)
    replay_twice(tmp_path / "spool", tmp_path / "kept", collector.address)

    made, rows = recorded(tmp_path / "recorded"), rows_of(timescale_dsn)
    print(f"{OUTAGE:.0f} s: {len(made):,} records, {len(rows):,} rows")
    assert set(made) <= set(rows), "nothing lost"
    assert len(rows) <= len(made) + 2 * THREADS


def test_an_outage_that_fills_the_spool(
    timescale_dsn: str, start_collector: StartCollector, tmp_path: Path
) -> None:
    collector = start_collector(timescale_dsn)
    outage(collector, timescale_dsn, start_collector, tmp_path, max_bytes=SMALL)
    replay_twice(tmp_path / "spool", tmp_path / "kept", collector.address)

    made, rows = recorded(tmp_path / "recorded"), rows_of(timescale_dsn)
    lost = len(set(made) - set(rows))
    ((told, missing),) = query(
        timescale_dsn, "SELECT sum(dropped), sum(missing) FROM producer_gaps"
    )
    print(f"{OUTAGE:.0f} s: {len(made):,} records, {len(rows):,} rows, {told:,} told as dropped")
    assert lost > 0
    # What a kill kept from being printed may have been dropped, or kept.
    assert lost <= told <= lost + 2 * THREADS
    assert len(made) <= len(rows) + told <= len(made) + 2 * THREADS
    # What follows a gap shows it; nothing follows what the first dropped before it was killed.
    assert 0 < missing <= told
