"""A function that fails, and knows how often it did."""

from __future__ import annotations

from typing import NoReturn

raised: list[BaseException] = []


def fail(*args: object, **kwargs: object) -> NoReturn:
    """Stands in for a function of ours. Its code is put into that, and so finds no names of here."""
    from unit.instrumentation import faults

    faults.raised.append(RuntimeError("a fault of ours"))
    raise faults.raised[-1]
