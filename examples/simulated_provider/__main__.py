"""`python -m simulated_provider`: the provider as a process, for demos and load."""

import argparse

from simulated_provider import Reply, SimulatedProvider


def main() -> None:
    """Print the address on one line and serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="simulated_provider", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--chunk-delay", type=float, default=0.0, help="seconds before each delta")
    options = parser.parse_args()
    default = Reply(delay=options.delay, chunk_delay=options.chunk_delay)
    provider = SimulatedProvider(port=options.port, default=default)
    print(provider.url, flush=True)
    provider.run()


if __name__ == "__main__":
    main()
