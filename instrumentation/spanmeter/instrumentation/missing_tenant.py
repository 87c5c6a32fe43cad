"""What is done about a call of which nobody knows whose it is: it is recorded with its callsite,
warned of, or refused, by SPANMETER_MISSING_TENANT."""

import logging
import os
from typing import Final

from spanmeter.instrumentation.errors import MissingTenant

MISSING_TENANT: Final = "SPANMETER_MISSING_TENANT"
"""`record` (the default), `warn`, or `raise`."""

MAX_CALLSITES: Final = 1000
"""Call sites that are warned of. Code that is made as it runs has no end of them."""

_logger: Final = logging.getLogger("spanmeter.instrumentation")
_warned: Final[set[str]] = set()


def no_tenant(package: str, callsite: str, *, refusable: bool) -> None:
    """A call is made for nobody. Raises `MissingTenant` where that was asked for and the call is
    `refusable`: its request has not left, and is what makes it cost anything."""
    policy = _policy()
    if policy == "raise" and refusable:
        raise MissingTenant(callsite, package)
    if policy in {"warn", "raise"}:
        _warn_once(callsite, "%s: a call of %s has no tenant; it is unattributed", package)
    elif policy != "record":
        _warn_once(
            MISSING_TENANT,
            "%s=%r is none of record, warn and raise; calls without a tenant are recorded",
            policy,
        )


def is_refused() -> bool:
    """Whether calls without a tenant are refused: sessions that many calls are made in, then too."""
    return _policy() == "raise"


def _policy() -> str:
    return os.environ.get(MISSING_TENANT) or "record"


def _warn_once(about: str, message: str, further: str) -> None:
    if about not in _warned and len(_warned) < MAX_CALLSITES:
        _warned.add(about)
        _logger.warning(message, about, further)
