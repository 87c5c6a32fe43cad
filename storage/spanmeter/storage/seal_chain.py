"""Seals as data, and what makes them a chain: the digest of each is over all it says and the digest before it."""

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Final, NamedTuple

FORM: Final = "spanmeter-seal-1"
"""How a seal is spelled for its digest. Another spelling gets another name, and old seals keep theirs."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

BEGINNING: Final = bytes(32)
"""Stands for the digest before the first."""


class Window(NamedTuple):
    """What was booked after one moment (None: ever) and until another, that one included."""

    number: int
    after: datetime | None
    until: datetime


class Sums(NamedTuple):
    """How many rows, what they add up to (None: none has any), and the digest over them."""

    rows: int
    input_tokens: Decimal | None
    output_tokens: Decimal | None
    cost: Decimal | None
    digest: bytes


class Part(NamedTuple):
    """The part of a window that is sealed by itself: a table of the ledger, a day of service in UTC, a currency."""

    table: str
    day: date
    currency: str


class Seal(NamedTuple):
    """One link of the chain: which columns of which table its parts are over, and who made it when."""

    number: int
    previous: bytes
    columns: Mapping[str, Sequence[str]]
    sealed_at: datetime
    sealed_by: str
    digest: bytes
    signature: bytes | None


def seal_of(
    window: Window,
    previous: bytes,
    columns: Mapping[str, Sequence[str]],
    made: tuple[datetime, str],
    parts: Mapping[Part, Sums],
    key: bytes | None,
) -> Seal:
    """The seal of a window, which `made` tells when and by whom; signed if there is a key."""
    sealed_at, sealed_by = made
    seal = Seal(window.number, previous, columns, sealed_at, sealed_by, b"", None)
    digest = digest_of(seal, window, parts)
    return seal._replace(digest=digest, signature=signature_of(digest, key))


def digest_of(seal: Seal, window: Window, parts: Mapping[Part, Sums]) -> bytes:
    """The digest that a seal of this window and these parts must have."""
    said = {
        "form": FORM,
        "number": seal.number,
        "previous": seal.previous.hex(),
        "booked_after": window.after and _instant(window.after),
        "booked_until": _instant(window.until),
        "columns": {table: list(names) for table, names in seal.columns.items()},
        "sealed_at": _instant(seal.sealed_at),
        "sealed_by": seal.sealed_by,
        "parts": [_spelled(part, parts[part]) for part in sorted(parts)],
    }
    return sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).digest()


def signature_of(digest: bytes, key: bytes | None) -> bytes | None:
    """What only a holder of the key can say of a digest; None without one."""
    return None if key is None else hmac.digest(key, digest, "sha256")


def broken_links(
    windows: Sequence[Window],
    seals: Sequence[Seal],
    parts: Mapping[int, Mapping[Part, Sums]],
    key: bytes | None,
) -> Iterator[tuple[int, str]]:
    """What is wrong with the chain: the number of a seal, and what."""
    by_number = {window.number: window for window in windows}
    for at, window in enumerate(windows, 1):
        if window.number != at:
            yield at, "its window is missing"
            break
    before = BEGINNING
    signed = False
    for at, seal in enumerate(seals, 1):
        if seal.number != at or seal.number not in by_number:
            yield at, "it is missing"
            return
        if seal.previous != before:
            yield at, "it does not follow the seal before it"
        if seal.digest != digest_of(seal, by_number[at], parts.get(at, {})):
            yield at, "its digest is not that of what it says"
        if key is not None and (trouble := _trouble_with_signature(seal, key, signed=signed)):
            yield at, trouble
        signed = signed or seal.signature is not None
        before = seal.digest


def _trouble_with_signature(seal: Seal, key: bytes, *, signed: bool) -> str | None:
    if seal.signature is None:
        return "it is not signed, and seals before it are" if signed else None
    expected = hmac.digest(key, seal.digest, "sha256")
    return (
        None
        if hmac.compare_digest(seal.signature, expected)
        else "its signature is not by this key"
    )


def _spelled(part: Part, sums: Sums) -> list[str | int | None]:
    amounts = (sums.input_tokens, sums.output_tokens, sums.cost)
    return [
        *(part.table, part.day.isoformat(), part.currency, sums.rows),
        *(None if amount is None else f"{amount:f}" for amount in amounts),
        sums.digest.hex(),
    ]


def _instant(moment: datetime) -> int:
    """Microseconds since 1970, which no time zone changes."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
