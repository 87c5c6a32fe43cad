"""The demo as a story: set the stage, let the tenants work, read the ledger, compare the bills."""

import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

import click

from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.console.console_beside import console_beside, login_address
from spanmeter.console.demo.pages import show_bills, show_usage
from spanmeter.console.demo.stage import Stage, served_by
from spanmeter.console.failures import JobFailed
from spanmeter.console.logs import log_to_file
from spanmeter.console.settings import Settings
from spanmeter.storage.embedded import EmbeddedDatabase
from spanmeter.storage.migrations import migrate

Say = Callable[[str], None]


def run_demo(requests: int, data: Path | None, *, keep: bool) -> None:
    """Run the whole demo.

    Raises `JobFailed` if the two bills differ, `ChildFailed` if a program of the demo does not do
    what it should. Whatever happens, no program is left running.
    """
    say = _narrator()
    say("starting an embedded PostgreSQL")
    with _ended_by_sigterm(), _place(data) as place, EmbeddedDatabase(place) as database:
        dsn = database.conninfo
        log_to_file(place / "logs" / "receiver.log")
        migrate(dsn)
        started = datetime.now(UTC)
        with Collector(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")) as collector:
            say(f"spanmeter receives spans on {collector.grpc_address}")
            served = _perform(place / "logs", collector.grpc_address, requests, say)
            show_usage(dsn, started)
            if not show_bills(dsn, started, served):
                raise JobFailed(f"the ledger differs from the provider; logs are in {place}/logs")
            click.echo("\nEvery count and the cost are equal, to the last digit.")
            _say_how_to_go_on(dsn, collector.grpc_address, data, keep=keep)
            if keep:
                _show_console(dsn)


def _perform(logs: Path, grpc: str, requests: int, say: Say) -> Mapping[str, Any]:
    """Have the SaaS serve its tenants; what the provider served is returned once all is exported."""
    with Stage(logs, grpc) as stage:
        provider = stage.start_provider()
        say(f"a simulated LLM provider answers on {provider}")
        assistant, inside = stage.start_service("assistant", {})
        gateway, outside = stage.start_service("gateway", {"ASSISTANT_URL": inside})
        say(f"a SaaS of two services serves on {outside}")
        say(f"three tenants and a nightly job make {requests} requests")
        stage.run_traffic(outside, requests)
        say("the services end, and export what they still hold")
        stage.stop(gateway)
        stage.stop(assistant)
        return served_by(provider)


def _say_how_to_go_on(dsn: str, grpc: str, data: Path | None, *, keep: bool) -> None:
    if keep:
        click.echo(f"\nIt all stays up until Ctrl-C. Query it:\n  psql {quote(dsn)}")
        click.echo(
            f"Send it spans of your own:\n  export OTEL_EXPORTER_OTLP_ENDPOINT=http://{grpc}"
        )
    elif data is not None:
        click.echo(
            f"\nThe ledger stays. Query it:\n"
            f"  spanmeter report --data {quote(str(data))} --by tenant,day"
        )
    else:
        click.echo(
            "\nTo see it in a browser, or query it in SQL: spanmeter demo --keep. For your own app: spanmeter up."
        )


def _show_console(dsn: str) -> None:
    """Serve the pages until Ctrl-C."""
    settings = Settings(console="127.0.0.1:0", log_level="warning")
    with console_beside(settings, dsn) as console:
        if console is not None:
            click.echo(f"Look at it in a browser:\n  {login_address(settings, dsn, console)}")
        _until_interrupted()


def _narrator() -> Say:
    start = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"[{time.monotonic() - start:5.1f} s] {text}", err=True)

    return say


@contextmanager
def _place(data: Path | None) -> Generator[Path]:
    """The directory for ledger and logs: the one named, or one that goes unless the demo fails."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data.absolute()
        return
    place = Path(tempfile.mkdtemp(prefix="spanmeter-demo-"))
    try:
        yield place
    except Exception:
        raise  # its message points into the logs
    except BaseException:  # Ctrl-C or SIGTERM
        shutil.rmtree(place)
        raise
    shutil.rmtree(place)


@contextmanager
def _ended_by_sigterm() -> Generator[None]:
    """Have SIGTERM unwind the stack, as Ctrl-C does, instead of ending this process alone."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _until_interrupted() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
