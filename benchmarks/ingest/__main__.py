"""Spans acknowledged and committed a second, beside raw COPY of the same rows in the same run: `make bench-ingest`.

Load, receiver and database share the machine. Collector and COPY take turns, several rounds over, so that a machine
that slows down slows both; the ratio is the median over the rounds.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from ledger import count, fill, ledger
from receiver import Receiver, receiver

HERE = Path(__file__).parent


class Scenario(NamedTuple):
    """A way to send: `concurrency` requests under way to each of `receivers`."""

    name: str
    spans: int = 512
    concurrency: int = 8
    protocol: str = "grpc"
    receivers: int = 1


SCENARIOS = (
    Scenario("gRPC, 512 spans a request"),
    Scenario("the same, gzip", protocol="grpc+gzip"),
    Scenario("the same, 3 receivers", receivers=3, concurrency=4),
    Scenario("HTTP, 512 spans a request", protocol="http"),
    Scenario("gRPC, 1 span a request", spans=1, concurrency=64),
)


class Run(NamedTuple):
    """One scenario, measured once."""

    rate: float
    cpu: float
    """Microseconds of the receivers' processor time a span."""
    p50: float
    p99: float
    memory: float


def raw_copy(dsn: str, seconds: float) -> float:
    """Rows a second."""
    figures = _figures([_worker("raw_copy.py", dsn, seconds)])
    return float(figures[0]["spans"] / figures[0]["seconds"])


def measured(scenario: Scenario, dsn: str, seconds: float) -> Run:
    """Runs collectors and as many senders. Raises where what was acknowledged is not what is booked."""
    with ExitStack() as stack:
        receivers = [stack.enter_context(receiver(dsn)) for _ in range(scenario.receivers)]
        _send(scenario, receivers, seconds=1)
        booked, used = count(dsn), _cpu(receivers)
        sent = _send(scenario, receivers, seconds)
        used = _cpu(receivers) - used
        memory = sum(each.peak_mib() for each in receivers)
    acknowledged = sum(int(each["spans"]) for each in sent)
    booked = count(dsn) - booked
    if booked != acknowledged:
        raise SystemExit(f"{acknowledged} spans were acknowledged, but {booked} are booked")
    return Run(
        acknowledged / max(each["seconds"] for each in sent),
        used / acknowledged * 1e6,
        statistics.median(each["p50"] for each in sent) * 1e3,
        max(each["p99"] for each in sent) * 1e3,
        memory,
    )


def compare(scenarios: Sequence[Scenario], dsn: str, rounds: int, seconds: float) -> None:
    """Prints a row for each scenario, after raw COPY."""
    copies: list[float] = []
    runs: dict[str, list[Run]] = {scenario.name: [] for scenario in scenarios}
    for _ in range(rounds):
        copies.append(raw_copy(dsn, seconds))
        for scenario in scenarios:
            runs[scenario.name].append(measured(scenario, dsn, seconds))
    print(f"{'':28}{'spans/s':>9}{'of COPY':>9}{'CPU µs':>8}{'p50 ms':>8}{'p99 ms':>8}{'MiB':>6}")
    print(f"{'raw COPY':28}{statistics.median(copies):9,.0f}{1:9.2f}")
    for name, several in runs.items():
        ratio = statistics.median(
            run.rate / copy for run, copy in zip(several, copies, strict=True)
        )
        rate, cpu, p50, p99, memory = map(statistics.median, zip(*several, strict=True))
        print(f"{name:28}{rate:9,.0f}{ratio:9.2f}{cpu:8.1f}{p50:8.1f}{p99:8.1f}{memory:6.0f}")


def _send(
    scenario: Scenario, receivers: Sequence[Receiver], seconds: float
) -> list[dict[str, float]]:
    return _figures(
        [
            _worker(
                "load.py",
                each.http if scenario.protocol == "http" else each.grpc,
                seconds,
                scenario.concurrency,
                scenario.spans,
                scenario.protocol,
            )
            for each in receivers
        ]
    )


def _worker(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _figures(workers: Sequence[subprocess.Popen[str]]) -> list[dict[str, float]]:
    printed = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise SystemExit("a worker failed; what it said is above")
    return [json.loads(each) for each in printed]


def _cpu(receivers: Sequence[Receiver]) -> float:
    return sum(each.cpu_seconds() for each in receivers)


def main() -> None:
    """Reads the flags and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--rows", type=int, nargs="*", default=[0], help="rows booked before")
    flags = parser.parse_args()
    scenarios = [scenario for scenario in SCENARIOS if flags.only in scenario.name]
    with ledger() as dsn:
        for rows in flags.rows:
            if rows:
                raw_copy(dsn, 0.1)
                fill(dsn, rows - count(dsn))
            print(f"\n{count(dsn):,} rows booked before")
            compare(scenarios, dsn, flags.rounds, flags.seconds)


if __name__ == "__main__":
    main()
