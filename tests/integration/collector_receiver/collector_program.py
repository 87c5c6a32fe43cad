"""Runs a collector until a signal: `collector_program.py DSN HOST:PORT`. Prints its address once it serves."""

import logging
import sys

from spanmeter.collector_receiver import Collector, CollectorSettings, run


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    dsn, address = sys.argv[1:]
    run(CollectorSettings(dsn=dsn, grpc=address), ready=_announce)


def _announce(collector: Collector) -> None:
    print(collector.grpc_address, flush=True)


if __name__ == "__main__":
    main()
