"""The demo, as people run it: from LLM calls in an app that knows nothing to a bill that adds up."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "spanmeter"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def place() -> Generator[Path]:
    """A directory that every user can enter: as root, PostgreSQL runs as another one."""
    with tempfile.TemporaryDirectory(prefix="spanmeter-test-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory) / "demo"


def left_behind(place: Path) -> list[str]:
    """The programs that still run in the demo's directories."""
    working: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(place):
                working.append((process / "cmdline").read_text())
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return working


def test_the_ledgers_sums_equal_what_the_provider_served(place: Path) -> None:
    demo = subprocess.run(
        [COMMAND, "demo", "--requests", "75", "--data", place],
        capture_output=True,
        text=True,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    _, bills = demo.stdout.split("The provider's own count beside the ledger\n")
    sums = re.findall(r"^(.+?)  +([\d.,]+)  +([\d.,]+)  equal$", bills, re.MULTILINE)
    assert len(sums) == 7
    assert all(served == booked for _, served, booked in sums)
    requests = int({name: served for name, served, _ in sums}["requests"])
    assert requests > 75  # a report is four calls, a search two
    assert left_behind(place) == []

    report = subprocess.run(
        [COMMAND, "report", "--data", place, "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(report.stdout)
    tenants = {row["tenant_id"]: row["requests"] for row in document["rows"]}
    assert tenants.keys() == {"acme", "globex", "initech", None}
    assert tenants[None] == 3  # one request in 25 is the nightly job's
    assert sum(tenants.values()) == requests
    assert sum(row["unpriced_requests"] for row in document["rows"]) == 0


def test_a_demo_that_is_ended_leaves_nothing_running(place: Path) -> None:
    demo = subprocess.Popen(
        [COMMAND, "demo", "--requests", "100000", "--data", place],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    with demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if "make 100000 requests" in line:
                break
        assert len(left_behind(place)) >= 3
        demo.send_signal(signal.SIGTERM)
        demo.wait(timeout=60)
    assert left_behind(place) == []
    assert (place / "logs" / "gateway.log").stat().st_size > 0
