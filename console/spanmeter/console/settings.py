"""What the commands are told: flags win over `SPANMETER_*`, which win over a TOML file.

The settings of one run are one frozen `Settings`, read once, before the command does anything.
"""

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from spanmeter.metering.attribution import Attribution

ENVIRONMENT_PREFIX: Final = "SPANMETER_"
DEFAULT_FILE: Final = Path("spanmeter.toml")
LOG_FORMATS: Final = ("text", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_TRUTH: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
DURABILITY: Final = ("journal+db", "db")


class InvalidSetting(ValueError):
    """A setting cannot be used. The message names the setting and where it was given."""


def default_data() -> Path:
    """Where the embedded database lives unless told otherwise: one ledger per user."""
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root, and no other user can enter root's home.
        return Path("/var/lib/spanmeter")
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "spanmeter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting that a flag, a `SPANMETER_*` variable or a key of the TOML file can give.

    `dsn` may hold a password: it is left out of the repr. `grpc` and `http` are `HOST:PORT`; the
    defaults are reachable from this machine only, and then no key is asked for unless `auth` says so.
    Collectors seal a day `seal_after` hours after its end, None: never; `seal_key` is a secret, too.
    `attribution` names by dimension the places where spans carry it (see `Attribution`).
    `exports` is a file of its own.
    """

    dsn: str | None = field(default=None, repr=False)
    data: Path = field(default_factory=default_data)
    grpc: str = "127.0.0.1:4317"
    http: str = "127.0.0.1:4318"
    workers: int = 1
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_authority: Path | None = None
    auth: bool | None = None
    attribution: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    journal: Path | None = None
    durability: str = "journal+db"
    seal_after: int | None = 2
    exports: Path = Path("exports.toml")
    seal_key: str | None = field(default=None, repr=False)
    log_level: str = "info"
    log_format: str = "text"

    @property
    def sealing_key(self) -> bytes | None:
        """What seals are signed with."""
        return None if self.seal_key is None else self.seal_key.encode()

    @classmethod
    def read(
        cls,
        flags: Mapping[str, object],
        environ: Mapping[str, str] = os.environ,
        file: Path | None = None,
    ) -> "Settings":
        """Settings from all three sources; a flag that is None was not given.

        Raises `InvalidSetting` for a value that cannot be used, a file that cannot be read, or an
        unknown key in it.
        """
        values = _from_file(file) | _from_environment(environ) | _from_flags(flags)
        return cls(**values)


def _from_flags(flags: Mapping[str, object]) -> dict[str, Any]:
    given = {name: value for name, value in flags.items() if value is not None}
    return {
        name: _parsed(name, value, "--" + name.replace("_", "-")) for name, value in given.items()
    }


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    variables = {name: ENVIRONMENT_PREFIX + name.upper() for name in _PARSERS}
    # An empty variable is one that was not given: `SPANMETER_DSN= spanmeter up` unsets it.
    return {
        name: _parsed(name, environ[key], key)
        for name, key in variables.items()
        if environ.get(key)
    }


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None and not DEFAULT_FILE.exists():
        return {}
    path = file or DEFAULT_FILE
    table = _toml(path)
    for key in table:
        if key not in _PARSERS:
            known = ", ".join(_PARSERS)
            raise InvalidSetting(f"{path}: {key!r} is not a setting; settings are {known}")
    return {key: _parsed(key, value, f"{path}: {key}") for key, value in table.items()}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path}: is not TOML: {error}") from error


def _parsed(name: str, value: object, where: str) -> object:
    try:
        return _PARSERS[name](value)
    except ValueError as error:
        raise InvalidSetting(f"{where}: {error}") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("should be text")
    return value.strip()


def _number(value: object) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 256):
        raise ValueError(f"{text!r} is not a number from 1 to 256")
    return int(text)


def _hours(value: object) -> int | None:
    text = str(value).lower()
    if text == "never":
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= 240):
        raise ValueError(f"{text!r} is neither a number of hours from 0 to 240 nor never")
    return int(text)


def _yes_or_no(value: object) -> bool:
    text = str(value).lower()
    if text not in _TRUTH:
        raise ValueError(f"{text!r} is neither true nor false")
    return _TRUTH[text]


def _path(value: object) -> Path:
    return Path(value if isinstance(value, Path) else _text(value)).expanduser()


def _address(value: object) -> str:
    text = _text(value)
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:4317")
    return text


def _attribution(value: object) -> Mapping[str, Sequence[str]]:
    """A table of lists, or for flags and variables `tenant=customer.id,resource:team;user=login`."""
    places = _table_of(value) if isinstance(value, str) else value
    if not isinstance(places, dict):
        raise ValueError("should be a table of lists, such as tenant = ['customer.id']")
    read = {str(name): _names(listed) for name, listed in cast("dict[str, object]", places).items()}
    Attribution(read)
    return read


def _table_of(text: str) -> dict[str, object]:
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    return {name.strip(): [each.strip() for each in names.split(",")] for name, _, names in parts}


def _names(listed: object) -> Sequence[str]:
    if not isinstance(listed, list) or not listed:
        raise ValueError("should be a table of lists, such as tenant = ['customer.id']")
    return tuple(_text(name) for name in cast("list[object]", listed))


def _one_of(*choices: str) -> Callable[[object], str]:
    def parsed(value: object) -> str:
        text = _text(value).lower()
        if text not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return parsed


_PARSERS: Final[Mapping[str, Callable[[object], object]]] = {
    "dsn": _text,
    "data": _path,
    "grpc": _address,
    "http": _address,
    "workers": _number,
    "tls_certificate": _path,
    "tls_key": _path,
    "tls_client_authority": _path,
    "auth": _yes_or_no,
    "attribution": _attribution,
    "journal": _path,
    "durability": _one_of(*DURABILITY),
    "seal_after": _hours,
    "seal_key": _text,
    "exports": _path,
    "log_level": _one_of(*LOG_LEVELS),
    "log_format": _one_of(*LOG_FORMATS),
}
