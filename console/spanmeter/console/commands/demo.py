"""`spanmeter demo`: the whole way from an LLM call to a tenant's bill, on one machine."""

from pathlib import Path

import click

from spanmeter.console.extras import require


@click.command()
@click.option("--requests", type=click.IntRange(min=1), default=120, help="Default: 120.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the ledger and the programs' logs here. Default: a temporary directory.",
)
@click.option("--keep", is_flag=True, help="Leave receiver and database running until Ctrl-C.")
def demo(requests: int, data: Path | None, *, keep: bool) -> None:
    """Meter a small SaaS against a simulated provider, and compare the two bills.

    Nothing leaves this machine. Exits with 1 if the ledger differs from the provider's own count.
    """
    require("spanmeter demo", "collector", "embedded", "otlp-grpc", "demo")
    from spanmeter.console.demo.run import run_demo
    from spanmeter.console.failures import explained

    with explained():
        run_demo(requests, data, keep=keep)
