"""The jsonb columns of a usage event, as COPY takes them: four to a row, most of them empty."""

import json
from collections.abc import Mapping

from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

# What PostgreSQL's binary form of jsonb begins with.
_VERSION = b"\x01"
_EMPTY = _VERSION + b"{}"

# Decimal quantities become text: as JSON numbers, most readers would round them.
_encode = json.JSONEncoder(default=str, separators=(",", ":")).encode


class UsageJsonDumper(Dumper):
    """Takes a mapping, or JSON that is text already: the provider's usage block as it came."""

    format = Format.BINARY
    oid = types["jsonb"].oid

    def dump(self, obj: str | Mapping[str, object]) -> bytes:
        """Return `obj` in the binary form of jsonb."""
        if obj == {}:
            return _EMPTY
        return _VERSION + (obj if isinstance(obj, str) else _encode(dict(obj))).encode()
