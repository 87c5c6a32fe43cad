"""What is kept on disk until the collector has it."""

import os
from collections.abc import Iterator
from pathlib import Path

from spanmeter.instrumentation.doctor.finding import Finding
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.location import usual_directory
from spanmeter.instrumentation.pipeline.settings import PipelineSettings


def examine() -> Iterator[Finding]:
    """Looks at the spools of all services that this user's processes keep."""
    settings = PipelineSettings.from_environ(os.environ)
    try:
        base = settings.spool or usual_directory(os.environ)
        services = sorted(path for path in base.iterdir() if path.is_dir()) if base.exists() else []
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
    for service in services:
        yield from _service(Directory(service, max_bytes=settings.max_bytes))


def _spool(base: Path, settings: PipelineSettings) -> Finding:
    if settings.write_ahead:
        return Finding("spool", "ok", f"{base}; every record is on disk before its call returns")
    what = f"{base}; records are in memory until the collector is away: kill -9 loses those"
    return Finding("spool", "warning", what, "leave SPANMETER_WRITE_AHEAD at true")


def _service(directory: Directory) -> Iterator[Finding]:
    subject = f"spool of {directory.path.name}"
    segments, used = len(directory.segments()), directory.used()
    yield Finding(subject, "ok", f"{segments} segments, {used:,} bytes with all that is kept there")
    dead = len(directory.dead_segments())
    if dead:
        what = (
            f"the collector has refused records: {dead} segments of them in {directory.path}/dead"
        )
        yield Finding(subject, "problem", what, "see the application's log for the reason")


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    return path if path.exists() else _existing(path.parent)
