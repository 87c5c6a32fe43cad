"""What is kept on disk until the collector has it."""

import os
from collections.abc import Iterator
from pathlib import Path

from opentelemetry.sdk.resources import Resource

from spanmeter.instrumentation.doctor.finding import Finding
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.leftovers import of_other_destinations
from spanmeter.instrumentation.pipeline.location import hashing_key, usual_directory
from spanmeter.instrumentation.pipeline.origin import Origin
from spanmeter.instrumentation.pipeline.settings import PipelineSettings
from spanmeter.instrumentation.pipeline.survey import spools


def examine() -> Iterator[Finding]:
    """Looks at the spools of all services that this user's processes keep."""
    settings = PipelineSettings.from_environ(os.environ)
    try:
        base = settings.spool or usual_directory(os.environ)
        directories = spools(base)
    except OSError as error:
        what = f"records are kept in memory only: {error}"
        yield Finding(
            "spool", "problem", what, "set SPANMETER_SPOOL to a directory that is writable"
        )
        return
    if not os.access(_existing(base), os.W_OK | os.X_OK):
        what = f"records are kept in memory only: {base} cannot be written to"
        yield Finding("spool", "problem", what, "make it writable, or set SPANMETER_SPOOL")
        return
    yield _spool(base, settings)
    for path in directories:
        yield from _origin(Directory(path, max_bytes=settings.max_bytes))
    if directories:
        yield from _left_for_others(settings, base)


def _spool(base: Path, settings: PipelineSettings) -> Finding:
    if settings.write_ahead:
        return Finding("spool", "ok", f"{base}; every record is on disk before its call returns")
    what = f"{base}; records are in memory until the collector is away: kill -9 loses those"
    return Finding("spool", "warning", what, "leave SPANMETER_WRITE_AHEAD at true")


def _origin(directory: Directory) -> Iterator[Finding]:
    subject = f"spool of {directory.path.name}"
    segments, used = len(directory.segments()), directory.used()
    yield Finding(subject, "ok", f"{segments} segments, {used:,} bytes with all that is kept there")
    dead = len(directory.dead_segments())
    if dead:
        what = (
            f"the collector has refused records: {dead} segments of them in {directory.path}/dead"
        )
        yield Finding(subject, "problem", what, "see the application's log for the reason")


def _left_for_others(settings: PipelineSettings, base: Path) -> Iterator[Finding]:
    """What a process that is started like this has left for another collector or key, before these changed."""
    own = Origin.of(Resource.create().attributes, settings.destination, hashing_key(base))
    for other in of_other_destinations(base, own):
        what = (
            f"left for {other.endpoint or 'no collector'}, with other headers or address than now"
        )
        to_do = f"`spanmeter spool flush --spool {other.name} --any-destination` sends it from here"
        yield Finding(f"spool of {other.name}", "problem", what, to_do)


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    return path if path.exists() else _existing(path.parent)
