"""The questions a team asks, each of the rollups and of the rows beside them: `make bench-queries`.

Every answer is compared with that of the rows: a quick wrong one is no answer. Plans go to a file.
"""

import argparse
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
from database import edition_of, ledger, server
from generate import first_day, generate
from psycopg import sql

from spanmeter.storage.statements import load_file

QUESTIONS: Final = load_file(Path(__file__).with_name("questions.sql"))
LEDGER: Final = "__ledger"
PLANNING: Final = re.compile(r"Planning Time: ([\d.]+) ms")

Answer = list[tuple[Any, ...]]


class Timed(NamedTuple):
    """Milliseconds: the first time, the median after that, and what of it is planning."""

    first: float
    warm: float
    planning: float
    answer: Answer
    plan: str


def ask(dsn: str, question: sql.SQL, asked: Mapping[str, object], times: int) -> Timed:
    """Ask on a connection of its own, several times, and once more for the plan."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        took: list[float] = []
        answer: Answer = []
        for _ in range(times):
            started = time.perf_counter()
            answer = connection.execute(question, asked).fetchall()
            took.append((time.perf_counter() - started) * 1000)
        explain = sql.SQL("EXPLAIN (ANALYZE, BUFFERS) {}").format(question)
        plan = "\n".join(line for (line,) in connection.execute(explain, asked))
    planning = float(PLANNING.findall(plan)[-1])
    return Timed(took[0], statistics.median(took[1:] or took), planning, answer, plan)


def compare(dsn: str, names: Sequence[str], rounds: int, plans: Path) -> None:
    """Print a line for each question, and keep its plans."""
    yesterday = first_day() + timedelta(days=29)
    month = yesterday.replace(day=1)
    asked = {
        "since": first_day(),
        "yesterday": yesterday,
        "month": month,
        "next_month": (month + timedelta(days=31)).replace(day=1),
        "tenant": "tenant-0",
        "limit": Decimal(50),
    }
    plans.mkdir(parents=True, exist_ok=True)
    heads = f"{'rollup ms':>10}{'first':>8}{'plan':>6}{'rows ms':>10}{'plan':>6}{'lines':>7}"
    print(f"{'':26}{heads}")
    for name in names:
        rollup = QUESTIONS.get(name)
        of_rows = ask(dsn, QUESTIONS[name + LEDGER], asked, 1)
        (plans / f"{name}{LEDGER}.txt").write_text(of_rows.plan)
        told = f"{'':>24}"
        if rollup is not None:
            of_rollup = ask(dsn, rollup, asked, rounds + 1)
            (plans / f"{name}.txt").write_text(of_rollup.plan)
            if of_rollup.answer != of_rows.answer:
                raise SystemExit(f"{name}: the rollup and the rows give two answers")
            told = f"{of_rollup.warm:10.1f}{of_rollup.first:8.1f}{of_rollup.planning:6.1f}"
        figures = f"{of_rows.first:10.1f}{of_rows.planning:6.1f}{len(of_rows.answer):7}"
        print(f"{name:26}{told}{figures}", flush=True)


def main() -> None:
    """Reads the flags and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--edition", choices=("timescale", "plain"), default="timescale")
    parser.add_argument("--dsn", help="a ledger that is there already, as this program made it")
    parser.add_argument("--rounds", type=int, default=5, help="times each rollup is asked")
    parser.add_argument("--only", default="", help="questions whose name contains this")
    parser.add_argument("--plans", type=Path, default=Path("build/bench-queries"))
    flags = parser.parse_args()
    every = dict.fromkeys(name.removesuffix(LEDGER) for name in QUESTIONS)
    names = [name for name in every if flags.only in name]
    if flags.dsn:
        report(flags.dsn, names, flags.rounds, flags.plans)
        return
    with server(flags.edition) as own:
        dsn, new = ledger(own, flags.rows)
        if new:
            started = time.monotonic()
            generate(dsn, flags.rows)
            print(f"made in {time.monotonic() - started:,.0f} s")
        report(dsn, names, flags.rounds, flags.plans)


def report(dsn: str, names: Sequence[str], rounds: int, plans: Path) -> None:
    """Print what is asked, and the answers' times."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT (SELECT sum(requests) FROM usage_daily_by_tenant),"
            " (SELECT count(*) FROM folded_hourly), (SELECT count(*) FROM folded_daily)"
        ).fetchone()
    if row is None:
        raise SystemExit("the ledger does not answer")
    print(f"{edition_of(dsn)}; {row[0]:,} calls, {row[1]:,} hourly and {row[2]:,} daily sums")
    compare(dsn, names, rounds, plans)


if __name__ == "__main__":
    main()
