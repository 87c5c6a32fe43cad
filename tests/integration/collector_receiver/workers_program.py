"""Runs three workers until a signal: `workers_program.py DSN`. Prints their address once they serve."""

import logging
import sys

from spanmeter.collector_receiver import Addresses, CollectorSettings, run


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    settings = CollectorSettings(dsn=sys.argv[1], grpc="127.0.0.1:0", workers=3)
    run(settings, ready=_announce)


def _announce(addresses: Addresses) -> None:
    print(addresses.grpc, flush=True)


if __name__ == "__main__":
    main()
