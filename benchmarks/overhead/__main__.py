"""What metering adds to a call, beside what other instrumentations of the same SDK add: `make bench-overhead`.

Each instrumentation runs in a process of its own. All of these are there at once, and take turns, a batch of calls
each, so that a machine that slows down slows all of them. Shown is how much more a row takes than no instrumentation
does, each in the quarter of its rounds that went best: others on the machine only ever add. After some rounds all
processes are made anew: no two are equally fast.

Two figures stand for each. *In the call* is the CPU time of the thread that makes the call: how much later the
application has its answer. *In all* is that of the whole process, with what its other threads do until all is flushed:
spanmeter's records are encoded, written and delivered to a collector, in a process apart, within it. The tracing's
spans go through the SDK's BatchSpanProcessor to an exporter that forgets them, in every row: what encodes and sends
spans is in none.

Below stands the goal, in bare spans, since no two machines are as fast. A bare span is measured as the others are,
around a call, where it finds caches as cold as they do.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from worker import BARE, BUDGETED, NO_TENANT, NONE, OURS, PEERS, Cost

ROWS: Mapping[str, Mapping[str, str]] = {
    BARE: {},
    OURS: {},
    "spanmeter, write-ahead off": {"SPANMETER_WRITE_AHEAD": "false"},
    "spanmeter, tracing off": {"OTEL_SDK_DISABLED": "true"},
    BUDGETED: {"OTEL_SERVICE_NAME": BUDGETED},
    NO_TENANT: {},
    **{name: {} for name in PEERS},
}
"""What is measured, and the settings that it is measured with."""

GOAL = {"call": 45 / 21, "chunk": 1.5 / 21}
"""What spanmeter may add to each, in bare spans: 45 and 1.5 µs where a bare span takes 21."""

HELD_TO_IT = (OURS, "spanmeter, write-ahead off")

BUDGET_GOAL = 15 / 21
"""What the check against a budget may take of a call, in bare spans: 15 µs where a bare span takes 21."""

IN_LOOPS = ("check", "span")
"""The check and a bare span, each in a loop of its own in one process: between calls it would be lost in their noise."""

CLOCKS = {"caller": "in the call", "process": "in all"}

ROUNDS_OF_A_PROCESS = 10

HERE = Path(__file__).parent

Figures = dict[tuple[str, str], list[float]]
"""Of one row, by kind of work and clock: microseconds, a round each."""


class Row:
    """The process of an instrumentation."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / "worker.py"), name],
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout

    def is_ready(self) -> bool:
        """Whether it runs beside this SDK; says why not."""
        if self._out.readline():
            return True
        assert self._process.stderr is not None
        print(
            f"{self.name}: {self._process.stderr.read().strip().splitlines()[-1]}", file=sys.stderr
        )
        return False

    def cost(self, kind: str) -> Cost:
        """Of a batch of one kind of work."""
        print(kind, file=self._in, flush=True)
        cost: Cost = json.loads(self._out.readline())
        return cost

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()


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


@contextmanager
def processes(names: Mapping[str, Mapping[str, str]], collector: str) -> Generator[list[Row]]:
    """One for no instrumentation, and after it those that run."""
    with ExitStack() as ending:
        rows: list[Row] = []
        for name, settings in {NONE: {}, **names}.items():
            spool = ending.enter_context(TemporaryDirectory())
            environ = {"SPANMETER_ENDPOINT": collector, "SPANMETER_SPOOL": spool, **settings}
            row = Row(name, environ)
            ending.callback(row.end)
            if row.is_ready():
                rows.append(row)
        yield rows


def take_turns(rows: list[Row], found: dict[str, Figures]) -> None:
    """One round: adds what each took."""
    for kind in GOAL:
        for row in rows:
            took(row, kind, found)
    for row in rows:
        if row.name == BUDGETED:
            for kind in IN_LOOPS:
                took(row, kind, found)


def took(row: Row, kind: str, found: dict[str, Figures]) -> None:
    """Has a row do a batch, and adds what it took."""
    for clock, cost in row.cost(kind).items():
        found.setdefault(row.name, {}).setdefault((kind, clock), []).append(cost)


def measured(
    names: Mapping[str, Mapping[str, str]], rounds: int, collector: str
) -> dict[str, Figures]:
    """What each row took in each round."""
    found: dict[str, Figures] = {}
    for first in range(0, rounds, ROUNDS_OF_A_PROCESS):
        with processes(names, collector) as rows:
            for number in range(first, min(rounds, first + ROUNDS_OF_A_PROCESS)):
                print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr)
                take_turns(rows, found)
    return found


def undisturbed(row: Figures) -> dict[tuple[str, str], float]:
    """What a row takes when others leave it in peace: the lower quartile of its rounds."""
    return {figure: sorted(taken)[len(taken) // 4] for figure, taken in row.items()}


def print_row(name: str, figures: Mapping[tuple[str, str], float]) -> None:
    """One line of the table."""
    values = "".join(f"{figures[kind, clock]:14.2f}" for kind in GOAL for clock in CLOCKS)
    print(f"{name:28}{values}")


def print_goal(kind: str, added: Mapping[str, Mapping[tuple[str, str], float]]) -> None:
    """How far spanmeter is from its goal."""
    span = added[BARE]["call", "caller"]
    print(
        f"goal for a {kind}: {GOAL[kind]:.3f} bare spans, here {GOAL[kind] * span:.1f} µs in the call"
    )
    for name in HELD_TO_IT:
        if name in added:
            ours = added[name][kind, "caller"]
            print(f"    {name} adds {ours / span:.3f}, {ours:.1f} µs")


def print_check(budgeted: Mapping[tuple[str, str], float]) -> None:
    """How far the check against a budget is from its goal."""
    check, span = (budgeted[kind, "caller"] for kind in IN_LOOPS)
    print(
        f"goal for a budget: {BUDGET_GOAL:.3f} bare spans, here {BUDGET_GOAL * span:.1f} µs in a loop of each\n"
        f"    the check takes {check / span:.3f}, {check:.1f} µs"
    )


def main(rounds: int, only: list[str]) -> None:
    """Runs all, or those rows alone whose names begin so, and prints a row for each, and the goal."""
    names = {
        name: settings
        for name, settings in ROWS.items()
        if not only or name == BARE or name.startswith(tuple(only))
    }
    with sink() as address:
        found = measured(names, rounds, f"{address}/v1/traces")
    taken = {name: undisturbed(row) for name, row in found.items()}
    plain = taken.pop(NONE)
    added = {
        name: {figure: cost - plain[figure] for figure, cost in row.items() if figure in plain}
        for name, row in taken.items()
    }
    print(f"{'CPU µs added':28}" + "".join(f"{'to a ' + kind:>28}" for kind in GOAL))
    print(f"{'':28}" + "".join(f"{clock:>14}" for _ in GOAL for clock in CLOCKS.values()))
    for name, row in added.items():
        print_row(name, row)
    print_row("(the SDK alone)", plain)
    for kind in GOAL:
        print_goal(kind, added)
    if BUDGETED in taken:
        print_check(taken[BUDGETED])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30, sys.argv[2:])
