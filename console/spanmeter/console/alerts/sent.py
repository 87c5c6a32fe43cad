"""What came of sending a message once."""

import os
from collections.abc import Mapping
from typing import NamedTuple


class Sent(NamedTuple):
    """Whether it was `delivered`; else why not, what was answered, whether there is any use in trying again, and the
    seconds that the receiver asks to wait first. No secret is in `detail`."""

    delivered: bool
    detail: str | None = None
    status: int | None = None
    hopeless: bool = False
    wait: float = 0.0


class SecretMissing(Exception):
    """A variable of the environment that a channel needs is not set. The message names it."""


def secret(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The value of a variable. Raises `SecretMissing`."""
    value = environ.get(name, "").strip()
    if not value:
        raise SecretMissing(f"the variable {name} is not set where the alerts run")
    return value
