"""From an application's pipeline to the ledger, while both ends die: nothing lost, nothing twice."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collecting import Ledger, StartCollector
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.draining import drain
from unit.instrumentation.pipeline.apps import PROGRAM, environment, ids


@contextmanager
def application(spool: Path, address: str, output: Path) -> Generator[None]:
    """Records calls from four threads until it is killed; what `record` returned for is in `output`."""
    with (
        output.open("ab") as printed,
        subprocess.Popen(
            [sys.executable, str(PROGRAM), "forever", "0"],
            env=environment(spool, f"http://{address}"),
            stdout=printed,
        ) as process,
    ):
        try:
            yield
        finally:
            process.kill()
    # A line that the kill cut off would run into the next process's first.
    with output.open("rb+") as whole:
        whole.truncate(output.read_bytes().rfind(b"\n") + 1)


def flush(spool: Path, address: str) -> None:
    """What `spanmeter spool flush` does."""
    (path,) = spool.glob("answers-*")
    directory = Directory(path, max_bytes=1 << 30)
    destination = Destination.from_environ({"SPANMETER_ENDPOINT": f"http://{address}"})
    done = drain(directory, destination, deadline=time.monotonic() + 60)
    assert (done.failure, directory.segments()) == (None, [])


def recorded(output: Path) -> list[int]:
    return ids(output.read_text()) if output.exists() else []


def wait_until_recorded(output: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(recorded(output)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_both_ends_are_killed_and_the_spool_is_replayed_twice(
    timescale_dsn: str, start_collector: StartCollector, tmp_path: Path
) -> None:
    ledger = Ledger(timescale_dsn)
    spool, output = tmp_path / "spool", tmp_path / "recorded"
    collector = start_collector(timescale_dsn)

    with application(spool, collector.address, output):
        wait_until_recorded(output, 3000)
        collector.kill()
        wait_until_recorded(output, 6000)
    with application(spool, collector.address, output):
        wait_until_recorded(output, 9000)
    kept = tmp_path / "kept"
    shutil.copytree(spool, kept)

    start_collector(timescale_dsn, collector.address)
    for _ in range(2):
        flush(spool, collector.address)
        shutil.copytree(kept, spool, dirs_exist_ok=True)
    flush(spool, collector.address)

    made = recorded(output)
    rows = [int.from_bytes(span_id, "big") for span_id in ledger.spans()]
    assert len(rows) == len(set(rows)), "nothing twice"
    # The kill may have come between a record and the line that tells of it, in each thread.
    assert set(made) <= set(rows), "nothing lost"
    assert len(rows) <= len(made) + 8
