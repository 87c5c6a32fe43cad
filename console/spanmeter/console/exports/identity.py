"""Names of what is exported that are the same however often they are worked out: never random."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

from spanmeter.storage.exports import Series


def dedupe_id(target: str, series: Series, window_start: datetime, generation: int) -> str:
    """By what a target knows a duplicate: 64 hexadecimal digits."""
    told = [target, *series, window_start.isoformat(), generation]
    return sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


def payload_digest(payload: Mapping[str, object]) -> bytes:
    """SHA-256 of what is sent."""
    return sha256(json.dumps(payload, sort_keys=True, ensure_ascii=False).encode()).digest()
