"""What metering adds to a call, beside what other instrumentations of the same SDK add: `make bench-overhead`.

Each instrumentation runs in processes of its own, all in turn, several rounds over, so that a machine that slows down
slows all of them. What is shown is the median over the rounds of the difference from no instrumentation in the same
round.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

NAMES = (
    "none",
    "bare span",
    "spanmeter",
    "openllmetry",
    "opentelemetry-genai",
    "openinference",
)
WORKER = Path(__file__).with_name("worker.py")


def measured(name: str) -> dict[str, float] | None:
    """One process's figures; `None` where the instrumentation does not run beside this SDK."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(WORKER), name],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(rounds: int) -> None:
    """Runs all, and prints a row for each."""
    added: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}
    plain: list[tuple[float, float]] = []
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        base = measured("none")
        if base is None:
            raise SystemExit("the SDK itself does not run")
        plain.append((base["call"], base["chunk"]))
        for name in NAMES[1:]:
            if (figures := measured(name)) is not None:
                added[name].append(
                    (figures["call"] - base["call"], figures["chunk"] - base["chunk"])
                )
    print(f"{'instrumentation':22}{'µs added a call':>18}{'µs added a chunk':>18}")
    for name, differences in added.items():
        if differences:
            calls, chunks = zip(*differences, strict=True)
            print(f"{name:22}{statistics.median(calls):18.1f}{statistics.median(chunks):18.2f}")
    calls, chunks = zip(*plain, strict=True)
    print(
        f"{'(the SDK alone)':22}{statistics.median(calls):18.1f}{statistics.median(chunks):18.2f}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
