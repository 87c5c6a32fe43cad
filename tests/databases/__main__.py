"""`python -m databases prepare|start|status|stop`: the test servers outside of a test run."""

from __future__ import annotations

import sys

from databases import chromium, editions, redis, shared
from databases.debian import CannotProvide
from databases.programs import ProgramFailed


def main(arguments: list[str]) -> int:
    """Run one command; return the exit code."""
    commands = {"prepare": prepare, "start": start, "status": status, "stop": stop}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(f"usage: python -m databases {'|'.join(commands)}", file=sys.stderr)
        return 2
    try:
        commands[arguments[0]]()
    except (CannotProvide, ProgramFailed) as error:
        print(f"databases: {error}", file=sys.stderr)
        return 1
    return 0


def prepare() -> None:
    """Bring the server programs here, so that no test waits for them."""
    for edition in editions.LOCAL:
        if editions.named(edition) is None:
            editions.cluster(edition)
    redis.program()
    chromium.program()


def start() -> None:
    """Start both servers and leave them up; print how to connect."""
    for edition in editions.LOCAL:
        server = editions.cluster(edition)
        shared.keep(server)
        print(f"{edition}: {server.dsn()}")


def status() -> None:
    """Print what each edition is, and which servers run."""
    for edition in editions.tested():
        print(f"{edition}: {editions.describe(edition)}")
    for server in editions.known_clusters():
        if server.is_running:
            print(f"running: {server.dsn()}")


def stop() -> None:
    """Stop every server, those that killed runs left among them; not those in use."""
    for server in editions.known_clusters():
        if not shared.release(server):
            print(f"in use by a test run: {server.dsn()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
