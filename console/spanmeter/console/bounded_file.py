"""Files that people hand over: read whole, and no more of them than there may be."""

import errno
from pathlib import Path


def content_of(path: Path, most: int) -> bytes:
    """The content. Raises OSError, also where there are more than `most` bytes: its `strerror` says so."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most / 2**20:g} MiB")
    return content
