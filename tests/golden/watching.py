"""Runs an emitter against the local provider, and meters what it sent."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

from golden.environments import JAVASCRIPT, javascript, node, python_of
from golden.sink import Sink
from simulated_provider import Served, SimulatedProvider
from spanmeter.collector_receiver.decode import decode
from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates
from spanmeter.metering.usage_event import UsageEvent

EMITTERS = Path(__file__).with_name("emitters.py")
OF_ITS_OWN = {"openlit": "openlit", "litellm": "litellm", "openinference_litellm": "litellm"}
"""Emitters that do not share the environment of the others."""

SECONDS = 100
MAX_SPANS = 10_000


class Watched(NamedTuple):
    """What an emitter sent, and what the provider has in its books."""

    bodies: Sequence[bytes]
    served: Sequence[Served]

    @property
    def events(self) -> list[UsageEvent]:
        """What is metered of it, in the order in which the calls began."""
        return metered(self.bodies)

    @property
    def replayed(self) -> list[UsageEvent]:
        """The same of what would be kept of its spans, were they rejected."""
        received = [each for body in self.bodies for each in decode(body, max_spans=MAX_SPANS)]
        return metered([each.payload() for each in received])


def metered(bodies: Sequence[bytes]) -> list[UsageEvent]:
    """The usage events of export requests, in order of time."""
    meter, now = Meter(Rates.pinned()), datetime.now(UTC)
    spans = [span for body in bodies for span, _ in decode(body, max_spans=MAX_SPANS)]
    events = [meter.meter(span, now) for span in spans]
    return sorted(event for event in events if event is not None)


@cache
def watch(emitter: str) -> Watched:
    """Has an emitter make its calls, once. Raises what the program raises."""
    with SimulatedProvider() as provider, Sink() as sink:
        if emitter.startswith("vercel"):
            run_javascript("vercel.mjs", emitter.removeprefix("vercel"), provider.url, sink.url)
        else:
            python = python_of(OF_ITS_OWN.get(emitter, "main"))
            command = [str(python), str(EMITTERS), emitter, provider.url, sink.url]
            subprocess.run(command, check=True, timeout=SECONDS)
        return Watched(list(sink.bodies), provider.served)


def run_javascript(program: str, *arguments: str) -> None:
    """Runs a program of `golden/javascript`."""
    folder = javascript()
    # Packages are looked for beside the program, whatever directory it is run in; others may run it now.
    copy = folder / f"{os.getpid()}-{program}"
    shutil.copy(JAVASCRIPT / program, copy)
    try:
        subprocess.run([node(), str(copy), *arguments], check=True, timeout=SECONDS)
    finally:
        copy.unlink()
