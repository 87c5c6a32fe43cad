"""The example services as processes, metered by nothing but their environment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import simulated_provider
from simulated_provider import SimulatedProvider

EXAMPLES = Path(simulated_provider.__file__).parent.parent


@contextmanager
def service(name: str, environ: Mapping[str, str], output: Path) -> Generator[str]:
    """A service of `saas` under `opentelemetry-instrument`; its address.

    What it prints goes to `output`, and its records go through a spool beside that. It is stopped by SIGTERM.
    """
    argv = [
        str(Path(sys.executable).with_name("opentelemetry-instrument")),
        *(sys.executable, "-m", "uvicorn", f"saas.{name}:app", "--port", "0", "--no-access-log"),
    ]
    settings = {
        "PYTHONPATH": str(EXAMPLES),
        "OTEL_SERVICE_NAME": name,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "SPANMETER_EXPORTER": "otlp",
        "SPANMETER_SPOOL": str(output.parent / "spool"),
    }
    with (
        output.open("wb") as printed,
        subprocess.Popen(
            argv,
            env={**os.environ, **settings, **environ},
            stdout=printed,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        try:
            yield _address(process.stderr)
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()


def vendors(provider: SimulatedProvider) -> dict[str, str]:
    """The environment in which the SDKs call the simulated provider."""
    return {
        "OPENAI_BASE_URL": provider.openai_base_url,
        "OPENAI_API_KEY": "any",
        "ANTHROPIC_BASE_URL": provider.url,
        "ANTHROPIC_API_KEY": "any",
    }


def _address(log: IO[str]) -> str:
    """Where uvicorn says that it runs."""
    said: list[str] = []
    for line in log:
        said.append(line)
        if (found := re.search(r"running on (http://\S+)", line)) is not None:
            return found[1]
    raise AssertionError("".join(said))
