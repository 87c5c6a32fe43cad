"""A collector until a signal: `collector_program.py DSN HOST:PORT [JOURNAL]`. Prints its address when it serves."""

import logging
import sys
from pathlib import Path

from spanmeter.collector_receiver import Addresses, CollectorSettings, run


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    dsn, address, *journal = sys.argv[1:]
    settings = CollectorSettings(
        dsn=dsn, grpc=address, journal=Path(journal[0]) if journal else None
    )
    run(settings, ready=_announce)


def _announce(addresses: Addresses) -> None:
    print(addresses.grpc, flush=True)


if __name__ == "__main__":
    main()
