"""Files of rates, read as what comes from anywhere: bounded before they are parsed."""

import json
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from spanmeter.console.bounded_file import content_of
from spanmeter.console.failures import JobFailed
from spanmeter.metering.catalogue import Catalogue, read_catalogue
from spanmeter.metering.rate_overrides import BadOverrides, Override, read_csv, read_toml
from spanmeter.metering.second_catalogue import (
    BadSecondCatalogue,
    SecondCatalogue,
    read_second_catalogue,
)

MAX_BYTES: Final = 64 * 1024 * 1024
"""The catalogues have two MB."""


class Second(NamedTuple):
    """A second catalogue, and how it is named where its opinions are kept."""

    catalogue: SecondCatalogue
    source: str


def catalogue_of(path: Path) -> tuple[Catalogue, str]:
    """A catalogue as genai-prices publishes it, and the version that it gets: of its content. Raises `JobFailed`."""
    text = _text(path)
    version = sha256(text.encode()).hexdigest()[:12]
    try:
        stated = json.loads(text, parse_float=Decimal, parse_constant=lambda name: name)
        return read_catalogue(stated, version), version
    except (ValueError, RecursionError) as error:
        raise JobFailed(f"{path} is no catalogue of genai-prices: {error}") from error


def overrides_of(path: Path) -> list[Override]:
    """Rates of one's own, in TOML or CSV. Raises `JobFailed`."""
    read = read_toml if path.suffix == ".toml" else read_csv
    try:
        return read(_text(path))
    except BadOverrides as error:
        raise JobFailed(f"{path}: {error}") from error


def second_of(path: Path) -> Second:
    """A second catalogue. Raises `JobFailed`."""
    text = _text(path)
    try:
        catalogue = read_second_catalogue(text)
    except BadSecondCatalogue as error:
        raise JobFailed(f"{path} {error}") from error
    return Second(catalogue, f"{path.name} {sha256(text.encode()).hexdigest()[:12]}")


def _text(path: Path) -> str:
    try:
        return content_of(path, MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise JobFailed(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise JobFailed(f"{path} is no text in UTF-8") from error
