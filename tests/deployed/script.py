"""A program that asks for a few customers and ends: `python -m deployed.script HOW`, in the way that HOW names.

It prints the ids of the responses it was given, a line each, before it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from spanmeter.instrumentation import usage

CUSTOMERS = ["acme", "globex", "initech"]


def _by_sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def _by_sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


ENDS: dict[str, Callable[[], object]] = {
    "returns": lambda: None,
    "exits at once": lambda: os._exit(0),
    "is terminated": _by_sigterm,
    "is killed": _by_sigkill,
}


def main(how: str) -> None:
    from deployed.asking import ask  # which makes its client as it is loaded

    # Too late, as far as OpenTelemetry goes, but tried.
    trace.set_tracer_provider(TracerProvider())
    for customer in CUSTOMERS:
        with usage(tenant_id=customer), trace.get_tracer("app").start_as_current_span("work"):
            print(customer, ask(customer)["id"], flush=True)
    ENDS[how]()


if __name__ == "__main__":
    main(sys.argv[1])
