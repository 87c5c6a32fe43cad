"""`spanmeter spool`: what is kept on disk until the collector has it."""

import os
import time
from pathlib import Path
from typing import NamedTuple

import click

from spanmeter.instrumentation.commands.answer import Answer
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.draining import Drained, drain
from spanmeter.instrumentation.pipeline.location import key_of_owner, usual_directory
from spanmeter.instrumentation.pipeline.origin import hashed_destination
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
        columns=[
            *("spool", "service", "environment", "endpoint"),
            *("living", "waiting", "dead", "dropped", "bytes", "oldest"),
        ],
        rows=[
            [
                each.origin.name,
                each.origin.service,
                each.origin.environment or None,
                each.origin.endpoint or None,
                each.living,
                each.waiting,
                each.dead,
                each.dropped,
                each.bytes,
                each.oldest.isoformat(timespec="seconds") if each.oldest else None,
            ]
            for each in states
        ],
        about={"directory": str(base)},
        notes=[
            f"{each.origin.name}: {count} refused: {reason}"
            for each in states
            for reason, count in each.reasons
        ],
    )


@spool.command()
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, help="Seconds. Default: 60.")
@click.option("--service", help="Of this service only.")
@click.option("--spool", "name", help="Of this spool only, as `spool status` names it.")
@click.option("--any-destination", is_flag=True, help="Also what was for another collector or key.")
@click.option("--dead", is_flag=True, help="Also what the collector has refused before.")
def flush(
    timeout: float, service: str | None, name: str | None, *, any_destination: bool, dead: bool
) -> Answer:
    """Deliver what dead processes have left; living ones deliver their own records.

    Sends with the endpoint and the headers of this command's environment what was recorded for these; with
    --any-destination the rest too. Exits with 1 where something is left.
    """
    settings = PipelineSettings.from_environ(os.environ)
    base = _base(settings)
    deadline = time.monotonic() + timeout
    chosen = _chosen(_survey(base, settings), service, name, base)
    sent = {
        each.path: _flush(each.path, settings, deadline, dead=dead)
        for each in chosen
        if any_destination or _is_for(each, settings)
    }
    left = {each.path: each for each in _survey(base, settings)}
    rows = [_flushed(left.get(each.path, each), sent.get(each.path)) for each in chosen]
    return Answer(
        columns=["spool", "service", "delivered", "refused", "waiting", "living"],
        rows=[list(row) for row, _ in rows],
        about={"directory": str(base)},
        notes=[note for _, note in rows if note],
        exit_code=int(any(row.refused or row.waiting for row, _ in rows)),
    )


class _Flushed(NamedTuple):
    """What became of a spool. Counts are of records."""

    spool: str
    service: str
    delivered: int
    refused: int
    waiting: int
    living: int


def _flushed(left: SpoolState, done: Drained | None) -> tuple[_Flushed, str | None]:
    """A row, and what there is to say about it. What is `left` was not sent where nothing was done."""
    origin = left.origin
    counts = (done.delivered, done.refused) if done else (0, 0)
    row = _Flushed(origin.name, origin.service, *counts, left.waiting, left.living)
    if done is None and left.waiting:
        return row, (
            f"{origin.name}: left, as it was recorded for {origin.endpoint or 'no collector'} with "
            "other headers, or for another collector, than here: --any-destination sends it"
        )
    return row, f"{origin.name}: {done.failure}" if done and done.failure else None


def _is_for(state: SpoolState, settings: PipelineSettings) -> bool:
    """Whether it was recorded for the destination that is named here."""
    try:
        here = hashed_destination(settings.destination, key_of_owner(state.path))
    except OSError:
        return False
    return here == state.origin.destination != ""


def _flush(path: Path, settings: PipelineSettings, deadline: float, *, dead: bool) -> Drained:
    """Delivers what there is of one spool: first what was refused before, if that is wanted."""
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


def _chosen(
    states: list[SpoolState], service: str | None, name: str | None, base: Path
) -> list[SpoolState]:
    chosen = [
        each
        for each in states
        if service in {None, each.origin.service} and name in {None, each.origin.name}
    ]
    if not chosen and (asked := name or service) is not None:
        option = "--spool" if name else "--service"
        raise click.BadParameter(f"{base} holds none of {asked!r}", param_hint=option)
    return chosen
