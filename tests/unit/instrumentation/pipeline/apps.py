"""Applications as processes, which tests let end in whichever way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(__file__).with_name("app_program.py")


def environment(spool: Path, endpoint: str, **environ: str) -> dict[str, str]:
    return {
        **os.environ,
        "SPANMETER_SPOOL": str(spool),
        "SPANMETER_ENDPOINT": endpoint or "http://127.0.0.1:9",
        "OTEL_SERVICE_NAME": "answers",
        **environ,
    }


@contextmanager
def app(
    way: str, environ: Mapping[str, str], *, count: int = 20
) -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), way, str(count)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(way: str, environ: Mapping[str, str]) -> list[int]:
    """Runs the application to its end; the ids that it recorded."""
    with app(way, environ) as process:
        output, _ = process.communicate(timeout=90)
    return ids(output)


def ids(output: str) -> list[int]:
    # The last line may be cut off by a kill.
    complete = output[: output.rfind("\n") + 1].split()
    return [int(line) for line in complete if line != "ready"]
