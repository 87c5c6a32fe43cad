"""What there is to tell about a pipeline."""

from dataclasses import dataclass
from pathlib import Path

from spanmeter.instrumentation.pipeline.settings import PipelineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStatus:
    """A pipeline of this process at one moment. Counts are of records."""

    endpoint: str | None
    """Where records go; `None` where the environment names no place."""
    protocol: str | None
    write_ahead: bool
    begun: bool = False
    """Whether there has been a record. Until then the spool is not opened."""
    producer_id: str | None = None
    spool: Path | None = None
    """The directory of the service's spool."""
    problem: str | None = None
    """Why records are kept in memory only, or are not sent at all."""
    kept: int = 0
    """Taken so far."""
    pending: int = 0
    """Of these, not yet acknowledged."""
    dropped: int = 0
    """Lost, since there was no place for them."""
    delivered: int = 0
    """Acknowledged, those adopted from processes that died included."""
    adopted: int = 0
    """Delivered for processes that died."""
    rejected: int = 0
    """Acknowledged as received, but the collector could not meter them; it keeps them."""
    dead: int = 0
    """Refused by the collector, and kept in `dead/`."""
    failure: str | None = None
    """Why the last request failed; `None` where it did not."""
    failing_since: float | None = None
    """Seconds since 1970."""

    @classmethod
    def before_first_record(cls, settings: PipelineSettings) -> "PipelineStatus":
        """Nothing has been recorded."""
        destination = settings.destination
        collector = None if isinstance(destination, str) else destination
        return cls(
            endpoint=collector.url if collector else None,
            protocol=collector.protocol if collector else None,
            problem=destination if isinstance(destination, str) else None,
            write_ahead=settings.write_ahead,
        )
