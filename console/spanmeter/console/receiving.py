"""How a command's settings become a collector's, and how it says that it receives."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from spanmeter.console.failures import UnusableSetting
from spanmeter.console.logs import log_to_stderr
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.collector_receiver import Addresses, CollectorSettings
    from spanmeter.collector_receiver.tls import Tls


def collector_settings(settings: Settings, dsn: str) -> "CollectorSettings":
    """What a collector is told. Raises `UnusableSetting`."""
    from spanmeter.console.journal_place import journal_directory

    return replace(
        metering_settings(settings, dsn),
        grpc=settings.grpc,
        http=settings.http,
        workers=settings.workers,
        auth=settings.auth,
        tls=tls_of(settings),
        seal_after=None if settings.seal_after is None else timedelta(hours=settings.seal_after),
        seal_key=settings.sealing_key,
        journal=journal_directory(settings, dsn),
    )


def metering_settings(settings: Settings, dsn: str) -> "CollectorSettings":
    """Of that, what decides what becomes of a span."""
    from spanmeter.collector_receiver import CollectorSettings

    return CollectorSettings(dsn=dsn, attribution=settings.attribution)


def logging_as(settings: Settings) -> Callable[[], None]:
    """What starts the log, in this process and in those of its workers."""
    return partial(log_to_stderr, settings.log_level, settings.log_format)


def ready_line(addresses: "Addresses", console: str | None = None) -> str:
    """What a command prints last, for whoever started it: spans are accepted, and where; and where the console is."""
    line = f"READY grpc={addresses.grpc} http={addresses.http}"
    return line if console is None else f"{line} console={console}"


def tls_of(settings: Settings) -> "Tls | None":
    """The certificate and key of the settings. Raises `UnusableSetting`."""
    from spanmeter.collector_receiver.tls import Tls, UnusableCertificate

    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None and settings.tls_client_authority is None:
        return None
    if certificate is None or key is None:
        raise UnusableSetting("TLS needs both --tls-certificate and --tls-key")
    tls = Tls(certificate=certificate, key=key, client_authority=settings.tls_client_authority)
    try:
        tls.context()
    except UnusableCertificate as error:
        raise UnusableSetting(str(error)) from error
    return tls
