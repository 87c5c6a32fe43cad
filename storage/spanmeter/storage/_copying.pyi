from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

def bind(epoch: datetime, timedelta: type[timedelta], decimal: type[Decimal], /) -> None: ...
def pack(
    rows: list[tuple[object, ...]],
    kinds: bytes,
    dumps: tuple[Callable[[Any], Any], ...],
    /,
) -> bytes: ...
