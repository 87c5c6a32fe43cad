"""What the tests of a client library need to run with its older releases as well."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from inspect import signature
from operator import attrgetter
from typing import Any

import pytest


def module_of(*paths: str) -> Any:
    """A module, by the first of its names that the installed release knows, the newest first."""
    for path in paths:
        with suppress(ModuleNotFoundError):
            return import_module(path)
    raise ModuleNotFoundError(f"none of {paths}")


def method_of(client: Any, path: str) -> Any:
    """A method of a client, by its dotted path. Without it there is nothing to test: a skip."""
    try:
        return attrgetter(path)(client)
    except AttributeError:
        pytest.skip(f"this release has no {path}")


def need_parameter(method: Callable[..., Any], name: str) -> None:
    """Skips the test where a method does not take the parameter yet."""
    if name not in signature(method).parameters:
        pytest.skip(f"this release's {method.__qualname__} takes no {name}")
