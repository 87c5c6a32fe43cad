"""`spanmeter spool`: what is kept on disk until the collector has it."""

import os
import time
from pathlib import Path

import click

from spanmeter.instrumentation.commands.answer import Answer
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.draining import Drained, drain
from spanmeter.instrumentation.pipeline.location import usual_directory
from spanmeter.instrumentation.pipeline.settings import PipelineSettings
from spanmeter.instrumentation.pipeline.survey import SpoolState, survey


@click.group()
def spool() -> None:
    """Usage records on disk, on their way to the collector."""


@spool.command()
def status() -> Answer:
    """Show what the processes of each service keep, and what dead ones have left."""
    settings = PipelineSettings.from_environ(os.environ)
    base = _base(settings)
    states = _survey(base, settings)
    return Answer(
        columns=["service", "living", "waiting", "dead", "dropped", "bytes", "oldest"],
        rows=[
            [
                each.service,
                each.living,
                each.waiting,
                each.dead,
                each.dropped,
                each.bytes,
                each.oldest.isoformat(timespec="seconds") if each.oldest else None,
            ]
            for each in states
        ],
        about={"spool": str(base)},
        notes=[
            f"{each.service}: {count} refused: {reason}"
            for each in states
            for reason, count in each.reasons
        ],
    )


@spool.command()
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, help="Seconds. Default: 60.")
@click.option("--service", help="Of this service only.")
@click.option("--dead", is_flag=True, help="Also what the collector has refused before.")
def flush(timeout: float, service: str | None, *, dead: bool) -> Answer:
    """Deliver what dead processes have left; living ones deliver their own records.

    Sends with the endpoint and the headers of this command's environment. Exits with 1 where
    something is left.
    """
    settings = PipelineSettings.from_environ(os.environ)
    base = _base(settings)
    deadline = time.monotonic() + timeout
    services = [each.path for each in _chosen(_survey(base, settings), service, base)]
    done = {path: _flush(path, settings, deadline, dead=dead) for path in services}
    left = {each.path: each for each in _survey(base, settings)}
    return Answer(
        columns=["service", "delivered", "refused", "waiting", "living"],
        rows=[
            [path.name, each.delivered, each.refused, left[path].waiting, left[path].living]
            for path, each in done.items()
        ],
        about={"spool": str(base)},
        notes=[f"{path.name}: {each.failure}" for path, each in done.items() if each.failure],
        exit_code=int(any(each.refused or left[path].waiting for path, each in done.items())),
    )


def _flush(path: Path, settings: PipelineSettings, deadline: float, *, dead: bool) -> Drained:
    """Delivers what there is of one service: first what was refused before, if that is wanted."""
    directory = Directory(path, max_bytes=settings.max_bytes)
    parts = [
        drain(directory, settings.destination, deadline=deadline, dead=each)
        for each in ((True, False) if dead else (False,))
    ]
    return Drained(
        delivered=sum(part.delivered for part in parts),
        refused=sum(part.refused for part in parts),
        failure=next((part.failure for part in parts if part.failure), None),
    )


def _base(settings: PipelineSettings) -> Path:
    try:
        return settings.spool or usual_directory(os.environ)
    except OSError as error:
        raise click.ClickException(
            f"there is no directory for a spool ({error}); set SPANMETER_SPOOL"
        ) from error


def _survey(base: Path, settings: PipelineSettings) -> list[SpoolState]:
    try:
        return survey(base, max_bytes=settings.max_bytes)
    except OSError as error:
        raise click.ClickException(f"cannot read the spool: {error}") from error


def _chosen(states: list[SpoolState], service: str | None, base: Path) -> list[SpoolState]:
    chosen = [each for each in states if service in {None, each.service}]
    if service is not None and not chosen:
        raise click.BadParameter(f"{base} holds none of {service!r}", param_hint="--service")
    return chosen
