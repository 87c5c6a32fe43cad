"""Ways of this product's own to say whose work it is."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from spanmeter.instrumentation import UsageScope, usage

P = ParamSpec("P")
R = TypeVar("R")


def scope_of(account: str) -> UsageScope:
    return usage(tenant_id=f"account-{account}")


@contextmanager
def working_for(account: str) -> Generator[str]:
    with scope_of(account):
        yield account


def internal(function: Callable[P, R]) -> Callable[P, R]:
    """Meters a function for ourselves."""

    @wraps(function)
    def metered(*args: P.args, **kwargs: P.kwargs) -> R:
        with usage(tenant_id="internal", account_type="internal"):
            return function(*args, **kwargs)

    return metered
