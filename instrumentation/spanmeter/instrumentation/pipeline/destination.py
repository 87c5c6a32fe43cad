"""Where records are sent, as the environment says.

With `SPANMETER_ENDPOINT` they have a destination of their own, and nothing of `OTEL_EXPORTER_OTLP_*`
is read: its headers are another collector's keys. Without it they go where the application's traces
go, by the standard variables.
Source: OpenTelemetry specification 1.55, "OpenTelemetry Protocol Exporter".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from opentelemetry.util.re import parse_env_headers

Protocol = Literal["grpc", "http/protobuf"]

TRACES_PATH: Final = "/v1/traces"
GRPC_PORT: Final = 4317
HTTP_PORT: Final = 4318
MAX_TIMEOUT: Final = 60.0

_PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "grpc": "grpc",
    "http/protobuf": "http/protobuf",
    # Every collector that takes JSON takes protobuf at the same address.
    "http/json": "http/protobuf",
}


class InvalidDestination(ValueError):
    """The environment names no destination that there can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A collector, and how to speak with it."""

    protocol: Protocol
    secure: bool
    host: str
    port: int
    path: str = ""
    """For HTTP."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """With lower-case names. Kept out of `repr`: one may be a key."""
    timeout: float = 10.0
    """Seconds that a collector may take for an answer."""
    gzip: bool = False
    certificate: str | None = None
    """A file of certificate authorities, where the system's do not do."""
    client_certificate: str | None = None
    client_key: str | None = None

    @property
    def url(self) -> str:
        """Without anything secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: without a path, in which there may be a key."""
        return self.url.removesuffix(self.path)

    @property
    def identity(self) -> tuple[object, ...]:
        """All that tells which collector it is, and as whom it is spoken to; secret."""
        address = (self.secure, self.host.lower(), self.port, self.path)
        return (*address, sorted(self.headers), self.client_certificate)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Destination":
        """Raises `InvalidDestination`."""
        read = _reader(environ)
        endpoint, path_is_whole = _endpoint(environ)
        parts = _split(endpoint)
        protocol = _protocol(read("PROTOCOL"), parts, environ.get("OTEL_TRACES_EXPORTER", ""))
        secure = parts.scheme == "https" or (
            not parts.scheme and read("INSECURE").lower() == "false"
        )
        return cls(
            protocol=protocol,
            secure=secure,
            host=parts.hostname or "localhost",
            port=parts.port or _default_port(protocol, secure=secure, named=bool(endpoint)),
            path=_path(parts, whole=path_is_whole) if protocol == "http/protobuf" else "",
            headers=_headers(environ),
            timeout=_timeout(read("TIMEOUT")),
            gzip=read("COMPRESSION").lower() == "gzip",
            certificate=read("CERTIFICATE") or None,
            client_certificate=read("CLIENT_CERTIFICATE") or None,
            client_key=read("CLIENT_KEY") or None,
        )


def _reader(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Reads a setting by the end of its name, from the first variable that has it."""
    prefixes = ["SPANMETER_"]
    if not environ.get("SPANMETER_ENDPOINT"):
        prefixes += ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"]

    def read(name: str) -> str:
        found = (environ.get(prefix + name, "").strip() for prefix in prefixes)
        return next(filter(None, found), "")

    return read


def _endpoint(environ: Mapping[str, str]) -> tuple[str, bool]:
    """The endpoint, and whether its path is meant as it is written."""
    if own := environ.get("SPANMETER_ENDPOINT", "").strip():
        return own, own.rstrip("/").endswith(TRACES_PATH)
    if traces := environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip():
        return traces, True
    return environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip(), False


def _split(endpoint: str) -> SplitResult:
    """The parts of a URL, or of HOST:PORT, which gRPC knows too."""
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        valid = parts.port is None or parts.port > 0
        if valid and parts.scheme in {"", "http", "https"} and (parts.hostname or not endpoint):
            return parts
    except ValueError:
        pass
    raise InvalidDestination(
        f"the endpoint {endpoint!r} is no address of a collector, such as http://localhost:4317"
    )


def _protocol(named: str, endpoint: SplitResult, exporters: str) -> Protocol:
    """The protocol that is named; or else the one that the endpoint or the exporter is of; or else
    gRPC, as in OpenTelemetry's Python SDK."""
    if named:
        try:
            return _PROTOCOLS[named.lower()]
        except KeyError:
            known = ", ".join(_PROTOCOLS)
            raise InvalidDestination(f"the protocol {named!r} is none of {known}") from None
    of_http = endpoint.port == HTTP_PORT or endpoint.path.strip("/")
    return "http/protobuf" if of_http or "otlp_proto_http" in exporters else "grpc"


def _default_port(protocol: Protocol, *, secure: bool, named: bool) -> int:
    """The port of the collector at an address that was named without one, or not at all."""
    if named and secure:
        return 443
    if protocol == "grpc":
        return GRPC_PORT
    return 80 if named else HTTP_PORT


def _path(endpoint: SplitResult, *, whole: bool) -> str:
    path = endpoint.path if whole else endpoint.path.rstrip("/") + TRACES_PATH
    return (path or "/") + (f"?{endpoint.query}" if endpoint.query else "")


def _headers(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    headers: dict[str, str] = {}
    if not environ.get("SPANMETER_ENDPOINT"):
        standard = environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
        standard = standard or environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
        headers.update(parse_env_headers(standard, liberal=True))
    headers.update(parse_env_headers(environ.get("SPANMETER_HEADERS", ""), liberal=True))
    return tuple(headers.items())


def _timeout(written: str) -> float:
    """Seconds, as in OpenTelemetry's Python SDK."""
    try:
        timeout = float(written or 10.0)
    except ValueError:
        raise InvalidDestination(f"the timeout {written!r} is no number of seconds") from None
    return min(timeout, MAX_TIMEOUT) if timeout > 0 else MAX_TIMEOUT
