"""Seals kept outside of the database, so that a chain that was written anew as a whole is found out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

from spanmeter.console.bounded_file import content_of
from spanmeter.console.failures import UnusableSetting
from spanmeter.storage.seal_chain import Seal

MAX_BYTES: Final = 64 * 1024 * 1024


def exported(seals: Sequence[Seal]) -> str:
    """The digests as a file that `read_anchors` takes: JSON, a seal on each line."""
    lines = [
        json.dumps(
            {
                "seal": each.number,
                "digest": each.digest.hex(),
                "sealed_at": each.sealed_at.isoformat(),
            }
        )
        for each in seals
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def read_anchors(path: Path) -> dict[int, bytes]:
    """The digests by number of seal. Raises `UnusableSetting`."""
    try:
        listed: Any = json.loads(content_of(path, MAX_BYTES).decode())
        return {
            int(each["seal"]): bytes.fromhex(each["digest"])
            for each in cast("list[dict[str, Any]]", listed)
        }
    except OSError as error:
        raise UnusableSetting(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UnusableSetting(
            f"{path} is no export of seals; `spanmeter seal export` makes one"
        ) from error
