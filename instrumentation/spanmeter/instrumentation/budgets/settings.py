"""What the guard of budgets can be told, read once from the environment."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from spanmeter.instrumentation.pipeline.destination import Destination

BUDGETS: Final = "SPANMETER_BUDGETS"
"""`on`, the default, or `off`."""

FAIL: Final = "SPANMETER_BUDGET_FAIL"
"""`open`, the default, or `closed`: what becomes of calls while it is not known what budgets there are."""

TIMEOUT: Final = "SPANMETER_BUDGET_TIMEOUT"
"""Seconds that a call may wait for the collector, by default 1."""

LONGEST_TIMEOUT: Final = 30.0

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings:
    """Where budgets are kept, and what happens when nobody answers there."""

    destination: Destination
    fails_closed: bool = False
    timeout: float = 1.0
    service: str = ""

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], destination: Destination | str
    ) -> "BudgetSettings | None":
        """The settings; none where budgets are switched off, or there is no collector."""
        if _word(environ, BUDGETS, ("on", "off")) == "off" or isinstance(destination, str):
            return None
        return cls(
            destination=destination,
            fails_closed=_word(environ, FAIL, ("open", "closed")) == "closed",
            timeout=_seconds(environ),
            service=environ.get("OTEL_SERVICE_NAME", "")[:256],
        )


def _word(environ: Mapping[str, str], name: str, known: tuple[str, str]) -> str:
    """One of the known words, by default the first."""
    written = environ.get(name, "").strip().lower()
    if written and written not in known:
        _logger.error("%s=%r is none of %s, and not heeded", name, written, ", ".join(known))
    return written if written in known else known[0]


def _seconds(environ: Mapping[str, str]) -> float:
    written = environ.get(TIMEOUT, "").strip()
    try:
        seconds = float(written or 1.0)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds <= LONGEST_TIMEOUT:
        return seconds
    _logger.error("%s=%r is no number from 0 to 30, and not heeded", TIMEOUT, written)
    return 1.0
