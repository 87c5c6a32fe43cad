"""Spans acknowledged and committed a second, beside raw COPY of the same rows in the same run: `make bench-ingest`.

Load, receiver and database share the machine. Collector and COPY take turns, several rounds over, so that a machine
that slows down slows both; the ratio is the median over the rounds.
"""

import argparse
import json
import math
import operator
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from ledger import count, fill, ledger, server_pid
from processor import used_by
from receiver import Receiver, receiver

HERE = Path(__file__).parent


COPY = "raw COPY"
HEADING = (
    f"{'processor time in µs a span:':28}{'spans/s':>9}{'of COPY':>9}"
    f"{'recv':>8}{'db':>8}{'load':>8}{'p50 ms':>8}{'p99 ms':>8}{'MiB':>8}"
)


class Scenario(NamedTuple):
    """A way to send: `concurrency` requests under way to each of `receivers`."""

    name: str
    spans: int = 512
    concurrency: int = 8
    protocol: str = "grpc"
    receivers: int = 1
    workers: int = 1


SCENARIOS = (
    Scenario("gRPC, 512 spans a request"),
    Scenario("the same, 2 workers", workers=2),
    Scenario("the same, gzip", protocol="grpc+gzip"),
    Scenario("the same, 3 receivers", receivers=3, concurrency=4),
    Scenario("HTTP, 512 spans a request", protocol="http"),
    Scenario("gRPC, 1 span a request", spans=1, concurrency=64),
)


class Run(NamedTuple):
    """One scenario, measured once."""

    rate: float
    receivers: float
    """Microseconds of processor time a span; likewise the next two. NaN where they cannot be told."""
    database: float
    load: float
    p50: float = math.nan
    """Milliseconds; likewise the next."""
    p99: float = math.nan
    memory: float = math.nan
    """MiB of the receivers."""


def raw_copy(dsn: str, seconds: float) -> Run:
    """Rows a second; its own processor time stands under the load's."""
    began = _database_cpu(dsn)
    [figures] = _figures([_worker("raw_copy.py", dsn, seconds)])
    rows = figures["spans"]
    each = 1e6 / rows
    used = _database_cpu(dsn) - began
    return Run(rows / figures["seconds"], math.nan, used * each, figures["cpu"] * each)


def measured(scenario: Scenario, dsn: str, seconds: float) -> Run:
    """Runs collectors and as many senders. Raises where what was acknowledged is not what is booked."""
    with ExitStack() as stack:
        receivers = [
            stack.enter_context(receiver(dsn, scenario.workers)) for _ in range(scenario.receivers)
        ]
        _send(scenario, receivers, seconds=1)
        booked = count(dsn)
        before = _cpu(receivers), _database_cpu(dsn)
        sent = _send(scenario, receivers, seconds)
        after = _cpu(receivers), _database_cpu(dsn)
        memory = sum(each.peak_mib() for each in receivers)
    acknowledged = sum(int(each["spans"]) for each in sent)
    booked = count(dsn) - booked
    if booked != acknowledged:
        raise SystemExit(f"{acknowledged} spans were acknowledged, but {booked} are booked")
    each = 1e6 / acknowledged
    received, stored = map(operator.sub, after, before)
    return Run(
        rate=acknowledged / max(figures["seconds"] for figures in sent),
        receivers=received * each,
        database=stored * each,
        load=sum(figures["cpu"] for figures in sent) * each,
        p50=statistics.median(figures["p50"] for figures in sent) * 1e3,
        p99=max(figures["p99"] for figures in sent) * 1e3,
        memory=memory,
    )


def compare(scenarios: Sequence[Scenario], dsn: str, rounds: int, seconds: float) -> None:
    """Prints a row for each scenario, after raw COPY."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for _ in range(rounds):
        runs[COPY].append(raw_copy(dsn, seconds))
        for scenario in scenarios:
            runs[scenario.name].append(measured(scenario, dsn, seconds))
    print(HEADING)
    for name, several in runs.items():
        ratios = (run.rate / copy.rate for run, copy in zip(several, runs[COPY], strict=True))
        figures = map(statistics.median, zip(*several, strict=True))
        print(_line(name, statistics.median(ratios), *figures))


def _line(name: str, ratio: float, rate: float, *others: float) -> str:
    cells = "".join(f"{'-':>8}" if math.isnan(each) else f"{each:8.1f}" for each in others)
    return f"{name:28}{rate:9,.0f}{ratio:9.2f}{cells}"


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


def _database_cpu(dsn: str) -> float:
    server = server_pid(dsn)
    return math.nan if server is None else used_by(server)


def main() -> None:
    """Reads the flags and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--rows", type=int, nargs="*", default=[0], help="rows booked before")
    parser.add_argument("--dsn", help="a ledger that is there already; nothing is filled in")
    flags = parser.parse_args()
    scenarios = [scenario for scenario in SCENARIOS if flags.only in scenario.name]
    if flags.dsn:
        report(scenarios, flags.dsn, flags.rounds, flags.seconds)
        return
    with ledger() as dsn:
        for rows in flags.rows:
            if rows:
                raw_copy(dsn, 0.1)
                fill(dsn, rows - count(dsn))
            report(scenarios, dsn, flags.rounds, flags.seconds)


def report(scenarios: Sequence[Scenario], dsn: str, rounds: int, seconds: float) -> None:
    """Prints what is booked, and a table."""
    print(f"\n{count(dsn):,} rows booked before", flush=True)
    compare(scenarios, dsn, rounds, seconds)


if __name__ == "__main__":
    main()
