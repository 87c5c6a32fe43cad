"""The OpenTelemetry Collector, built from Debian's packages: in a tree of its own, without a module proxy."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import sys
from pathlib import Path

from databases import debian
from databases.provision import cache

SOURCE = Path(__file__).with_name("collector") / "main.go"
PACKAGES = "golang-go,golang-opentelemetry-collector-dev"
RELEASE = "sid"

# Debian compiles its Go packages from one GOPATH, without modules. What is linked statically runs outside of the tree.
BUILD = """
mount --rbind /dev "$0/dev"
mount --rbind /proc "$0/proc"
exec chroot "$0" env HOME=/tmp GO111MODULE=off GOPATH=/usr/share/gocode CGO_ENABLED=0 \
    go build -o /tmp/collector /tmp/main.go
"""


def collector() -> Path:
    """The program, built where it is not in the cache: some minutes, once. Raises CannotProvide."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    program = cache() / f"otelcol-{digest}-{platform.machine()}"
    with (cache() / "otelcol.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            print("Building the OpenTelemetry Collector: some minutes, once.", file=sys.stderr)
            _build(program)
    return program


def _build(program: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        debian.apt_install("mmdebstrap")
    tree = cache() / "otelcol.tree"
    shutil.rmtree(tree, ignore_errors=True)
    # The archive's list of sid may be past its date on a mirror; its signature is checked all the same.
    debian.run(
        "mmdebstrap",
        "--variant=minbase",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        f"--include={PACKAGES}",
        RELEASE,
        str(tree),
        debian.mirror(),
    )
    shutil.copy(SOURCE, tree / "tmp" / "main.go")
    debian.run(
        *("unshare", "--mount", "--propagation", "private", "--", "sh", "-euc", BUILD, str(tree))
    )
    partial = program.with_suffix(".partial")
    shutil.copy(tree / "tmp" / "collector", partial)
    partial.rename(program)
    shutil.rmtree(tree)


if __name__ == "__main__":
    print(collector())
