"""Which client libraries are installed, and whether their calls are metered."""

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Final

from spanmeter.instrumentation.doctor.finding import Finding
from spanmeter.instrumentation.installed import Coverage
from spanmeter.instrumentation.loading import coverage, instrument

DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def examine() -> Iterator[Finding]:
    """Imports every client library that is installed, patched, and tells what came of it."""
    disabled = _disabled()
    if not any(each.metered for each in coverage()):
        instrument()
    reasons = {each.package: _import_error(each.package) for each in coverage()}
    installed = coverage()
    for each in installed:
        yield _library(each, reasons.get(each.package), disabled)
    if not installed:
        yield Finding(
            "client libraries",
            "warning",
            "none that spanmeter meters is installed here",
            "run this in the environment of your application",
        )


def _library(library: Coverage, broken: str | None, disabled: frozenset[str]) -> Finding:
    subject = f"{library.package} {library.version}"
    if broken is not None:
        return Finding(
            subject, "warning", f"cannot be imported: {broken}", "repair it or remove it"
        )
    if disabled & {"*", f"spanmeter-{library.package}"}:
        what = f"not metered: switched off by {DISABLED}"
        return Finding(subject, "problem", what, "take it out of that variable")
    if not library.metered:
        what = f"not metered: {library.why}"
        to_do = (
            "install a version that is verified (docs/client-libraries.md), or a newer spanmeter"
        )
        return Finding(subject, "problem", what, to_do)
    if library.why:
        to_do = "compare a few calls with the provider's bill"
        return Finding(subject, "warning", library.why, to_do)
    return Finding(subject, "ok", "metered")


def _import_error(package: str) -> str | None:
    try:
        import_module(package.replace("-", "."))
    except Exception as error:  # noqa: BLE001 - importing somebody else's library raises anything
        return f"{type(error).__name__}: {error}"
    return None


def _disabled() -> frozenset[str]:
    return frozenset(name.strip() for name in os.environ.get(DISABLED, "").split(","))
