"""What metering adds to a call, beside what other instrumentations of the same SDK add: `make bench-overhead`.

Each instrumentation runs in processes of its own, all in turn, several rounds over, so that a machine that slows down
slows all of them. What is shown is the median over the rounds of the difference from no instrumentation in the same
round. Below it stands the goal, in bare spans, since no two machines are as fast.

Counted is all the CPU time of the process, its threads' too. Each batch of calls ends with a flush, so what delivers
spanmeter's records to a collector, in a process apart, is counted in full. The spans go through the SDK's
BatchSpanProcessor to an exporter that forgets them, in every row: what encodes and sends spans is in none.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROWS: Mapping[str, Mapping[str, str]] = {
    "bare span": {},
    "spanmeter": {},
    "spanmeter, write-ahead off": {"SPANMETER_WRITE_AHEAD": "false"},
    "spanmeter, tracing off": {"OTEL_SDK_DISABLED": "true"},
    "spanmeter, no tenant": {},
    "openllmetry": {},
    "opentelemetry-genai": {},
    "openinference": {},
}
"""What is measured, and the settings that it is measured with."""

GOAL = {"call": 45 / 21, "chunk": 1.5 / 21}
"""What spanmeter may add to each, in bare spans: 45 and 1.5 µs where a bare span takes 21 (issues 3 and 4)."""

HELD_TO_IT = ("spanmeter", "spanmeter, write-ahead off")

HERE = Path(__file__).parent


@contextmanager
def sink() -> Generator[str]:
    """The address of a collector that forgets what it takes."""
    argv = [sys.executable, str(HERE / "sink.py")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def measured(name: str, settings: Mapping[str, str]) -> dict[str, float] | None:
    """One process's figures; `None` where the instrumentation does not run beside this SDK."""
    with TemporaryDirectory() as spool:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(HERE / "worker.py"), name],
            env={**os.environ, **settings, "SPANMETER_SPOOL": spool},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of several rounds."""
    return {kind: statistics.median(row[kind] for row in rows) for kind in GOAL}


def rounds_of(rounds: int, collector: str) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """What the SDK alone takes, and what each instrumentation adds, over so many rounds."""
    plain: list[dict[str, float]] = []
    added: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        base = measured("none", {})
        if base is None:
            raise SystemExit("the SDK itself does not run")
        plain.append(base)
        for name, settings in ROWS.items():
            figures = measured(name, {"SPANMETER_ENDPOINT": collector, **settings})
            if figures is not None:
                difference = {kind: figures[kind] - base[kind] for kind in GOAL}
                added.setdefault(name, []).append(difference)
    return medians(plain), {name: medians(rows) for name, rows in added.items()}


def print_goal(kind: str, added: dict[str, dict[str, float]]) -> None:
    """How far spanmeter is from its goal."""
    span = added["bare span"]["call"]
    print(f"goal for a {kind}: {GOAL[kind]:.2f} bare spans, here {GOAL[kind] * span:.1f} µs")
    for name in HELD_TO_IT:
        ours = added[name][kind]
        print(f"    {name} adds {ours / span:.2f}, {ours:.1f} µs")


def main(rounds: int) -> None:
    """Runs all, and prints a row for each, and the goal."""
    with sink() as address:
        plain, added = rounds_of(rounds, f"{address}/v1/traces")
    print(f"{'instrumentation':28}{'µs added a call':>18}{'µs added a chunk':>18}")
    for name, row in [*added.items(), ("(the SDK alone)", plain)]:
        print(f"{name:28}{row['call']:18.1f}{row['chunk']:18.2f}")
    for kind in GOAL:
        print_goal(kind, added)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
