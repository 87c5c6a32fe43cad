"""Which client libraries are installed, and whether their calls are metered."""

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Final

from spanmeter.instrumentation.doctor.finding import Finding
from spanmeter.instrumentation.installed import Coverage
from spanmeter.instrumentation.loading import coverage, instrument

DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"

_NAMES: Final = {"botocore": "bedrock", "aiobotocore": "bedrock"}
"""Of our instrumentations, where it is not that of the package."""


def examine() -> Iterator[Finding]:
    """Imports every client library that is installed, patched, and tells what came of it."""
    switched_off = disabled()
    yield _switched_on()
    instrument()
    reasons = {each.package: _import_error(each.package) for each in coverage()}
    installed = coverage()
    for each in installed:
        yield _library(each, reasons.get(each.package), switched_off)
    if not installed:
        yield Finding(
            "client libraries",
            "warning",
            "none that spanmeter meters is installed here",
            "run this in the environment of your application",
        )


def _switched_on() -> Finding:
    """Told before it is switched on here, to see what comes of it."""
    if any(each.metered for each in coverage()):
        return Finding("metering", "ok", "switched on by opentelemetry-instrument")
    what = "not switched on by how this was started; what follows is how it will be"
    to_do = "call instrument() in your application, or start it with opentelemetry-instrument"
    return Finding("metering", "ok", what, to_do)


def _library(library: Coverage, broken: str | None, switched_off: frozenset[str]) -> Finding:
    subject = f"{library.package} {library.version}"
    if broken is not None:
        return Finding(
            subject, "warning", f"cannot be imported: {broken}", "repair it or remove it"
        )
    if _is_switched_off(library, switched_off):
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


def unmetered() -> list[str]:
    """The packages whose calls are not metered, or are not in a process that is told the same."""
    switched_off = disabled()
    return [
        each.package
        for each in coverage()
        if not each.metered or _is_switched_off(each, switched_off)
    ]


def _is_switched_off(library: Coverage, switched_off: frozenset[str]) -> bool:
    name = _NAMES.get(library.package, library.package)
    return not switched_off.isdisjoint({"*", f"spanmeter-{name}"})


def _import_error(package: str) -> str | None:
    try:
        import_module(package.replace("-", "."))
    except Exception as error:  # noqa: BLE001 - importing somebody else's library raises anything
        return f"{type(error).__name__}: {error}"
    return None


def disabled() -> frozenset[str]:
    """The instrumentations that are switched off by name."""
    return frozenset(name.strip() for name in os.environ.get(DISABLED, "").split(","))
