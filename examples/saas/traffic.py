"""Customers at work: `python -m saas.traffic` sends the gateway what a day might bring.

The same seed always sends the same requests, in the same order; which overtakes which is up to
the concurrency.
"""

import argparse
import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

from saas.accounts import BY_API_KEY

SUBJECTS = ("sales", "churn", "hiring", "the new pricing", "support load", "the EU launch")

# How much of the work each customer causes, and how often each feature is used.
KEYS = tuple(BY_API_KEY)
SHARES = (60, 30, 10)
FEATURES = {"/summaries": 40, "/chat": 30, "/search": 20, "/reports": 10}

# One in so many requests is a job of nobody.
JOB_EVERY = 25


@dataclass(frozen=True)
class Visit:
    """One request to the gateway."""

    path: str
    headers: dict[str, str]
    body: dict[str, str]


def visits(count: int, seed: int) -> Iterator[Visit]:
    """`count` requests of the three customers and, now and then, of nobody."""
    chance = random.Random(seed)
    for number in range(count):
        if number % JOB_EVERY == JOB_EVERY - 1:
            yield Visit("/ops/reindex", {}, {"text": _document(chance)})
            continue
        [key] = chance.choices(KEYS, SHARES)
        [path] = chance.choices(list(FEATURES), list(FEATURES.values()))
        headers = {"x-api-key": key, "x-user": f"user-{chance.randint(1, 5)}"}
        yield Visit(path, headers, _BODIES[path](chance))


def _document(chance: random.Random) -> str:
    paragraph = f"We looked at {chance.choice(SUBJECTS)} in week {chance.randint(1, 52)}."
    return "\n".join([paragraph] * chance.randint(1, 40))


def _question(chance: random.Random) -> str:
    return f"What changed in {chance.choice(SUBJECTS)} since week {chance.randint(1, 52)}?"


_BODIES: dict[str, Callable[[random.Random], dict[str, str]]] = {
    "/summaries": lambda chance: {"text": _document(chance)},
    "/chat": lambda chance: {"text": _question(chance)},
    "/search": lambda chance: {"text": _question(chance)},
    "/reports": lambda chance: {"title": chance.choice(SUBJECTS)},
}


async def drive(gateway: str, count: int, seed: int, concurrency: int) -> Counter[str]:
    """Send it all, `concurrency` requests at a time; how often each outcome came to pass.

    An outcome is an HTTP status, or the name of the error where there was no answer.
    """
    waiting = visits(count, seed)
    outcomes: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=gateway, timeout=60) as client:

        async def visitor() -> None:
            for visit in waiting:
                outcomes[await _pay(client, visit)] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(visitor())
    return outcomes


async def _pay(client: httpx.AsyncClient, visit: Visit) -> str:
    """Pay the visit; its outcome."""
    try:
        answer = await client.post(visit.path, headers=visit.headers, json=visit.body)
    except httpx.HTTPError as error:
        return type(error).__name__
    return str(answer.status_code)


def main() -> None:
    """Drive the gateway; exit 1 if any request failed."""
    parser = argparse.ArgumentParser(prog="python -m saas.traffic", description=__doc__)
    address = os.environ.get("GATEWAY_URL", "http://127.0.0.1:8000")
    parser.add_argument("--gateway", default=address, help="its address, or GATEWAY_URL")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    outcomes = asyncio.run(
        drive(options.gateway, options.requests, options.seed, options.concurrency)
    )
    answered = outcomes.pop("200", 0)
    failed = "".join(f", {times} failed with {outcome}" for outcome, times in outcomes.items())
    print(f"{answered} requests answered{failed}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
