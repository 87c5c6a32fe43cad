"""Receivers that a test may kill, and what else the faults have in common."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from receivers import Receivers, receivers


@pytest.fixture(name="receivers")
def running_receivers() -> Generator[Receivers]:
    with receivers() as running:
        yield running
