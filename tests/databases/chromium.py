"""A browser for tests of pages: Debian's chromium, driven by playwright."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from databases import debian
from databases.debian import CannotProvide

_PACKAGE = "chromium"


def program() -> Path:
    """The browser, brought here first where it is absent. Raises CannotProvide."""
    found = shutil.which(_PACKAGE)
    if found is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise CannotProvide("no chromium here: install it, or run once as root on Debian")
        debian.install_quietly(_PACKAGE)
        found = shutil.which(_PACKAGE)
    assert found is not None
    return Path(found)
