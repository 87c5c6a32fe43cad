"""`python -m matrix`: makes each environment, runs the application in it, and holds its spans to the
provider's books."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from matrix.application import STEPS
from matrix.environments import Version, environment
from simulated_provider import Reply, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, check_usage

# The first of each SDK pass `proxies` to httpx, which 0.28 no longer takes.
VERSIONS = (
    Version("openai", "1.0.0", ["httpx<0.28"]),
    Version("openai", "1.109.1"),
    Version("openai", "2.54.0"),
    Version("openai", "3.52.0"),
    Version("anthropic", "0.20.0", ["httpx<0.28"]),
    Version("anthropic", "0.125.0"),
    Version("anthropic", "1.12.1"),
    Version("anthropic", "2.11.0"),
)

SCRIPT: Mapping[str, Sequence[Reply]] = {
    "retry": [
        Reply(status=429, retry_after=0.001),
        Reply(status=500, retry_after=0.001),
        Reply(),
    ],
    "broken": [Reply(chunks=5, error_after=2)],
    "given_up": [Reply(chunks=50, chunk_delay=0.005)],
    "cancelled_async": [Reply(chunks=50, chunk_delay=0.005)],
}


def check(step: str, spans: list[Attributes], provider: SimulatedProvider) -> None:
    """The spans of a step say what was served."""
    attempts = [(span[names.USAGE_ATTEMPT], span.get(names.ERROR_TYPE)) for span in spans]
    assert all(span[names.TENANT_ID] == "acme" for span in spans)
    if step == "broken":
        assert attempts in ([(1, "server_error")], [(1, "overloaded_error")]), attempts
    elif step in {"given_up", "cancelled_async"}:
        assert attempts == [(1, names.CANCELLED)], attempts
    elif step == "retry":
        assert attempts == [(1, "429"), (2, "500"), (3, None)], attempts
        check_usage(spans[-1], provider.served[-1])
    else:
        [span] = spans
        check_usage(span, provider.served[-1])


def run(version: Version, provider: SimulatedProvider) -> list[str]:
    """What came of each step: `ok`, or what was wrong."""
    url = provider.openai_base_url if version.sdk == "openai" else provider.url
    application = Path(__file__).with_name("application.py")
    with subprocess.Popen(
        [str(environment(version)), str(application), version.sdk, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        return [outcome(step, provider, process.stdin, process.stdout) for step in STEPS]


def outcome(step: str, provider: SimulatedProvider, to: IO[str], of: IO[str]) -> str:
    """Scripts the provider, lets the application do the step, and checks its spans."""
    if of.readline().strip() != step:
        return "ended"
    provider.reset()
    provider.enqueue(*SCRIPT.get(step, ()))
    to.write("go\n")
    to.flush()
    try:
        check(step, json.loads(of.readline() or "[]"), provider)
    except (AssertionError, KeyError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


def main() -> int:
    """Prints a table; 1 if anything in it is not ok."""
    failures: list[str] = []
    print(f"{'':20}" + " ".join(f"{step:>15}" for step in STEPS))
    with SimulatedProvider() as provider:
        for version in VERSIONS:
            name = f"{version.sdk} {version.version}"
            outcomes = run(version, provider)
            shown = ["ok" if each == "ok" else "FAILED" for each in outcomes]
            print(f"{name:20}" + " ".join(f"{each:>15}" for each in shown), flush=True)
            failures += [
                f"{name}, {step}: {each}"
                for step, each in zip(STEPS, outcomes, strict=True)
                if each != "ok"
            ]
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
