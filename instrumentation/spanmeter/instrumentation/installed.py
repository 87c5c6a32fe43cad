"""Which client libraries are installed, and whether their calls are metered: said at start, aloud
where anything is amiss, and whenever asked."""

import logging
from collections.abc import Iterable
from importlib.machinery import all_suffixes
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from packaging.specifiers import SpecifierSet

_logger: Final = logging.getLogger("spanmeter.instrumentation")

NOT_VERIFIED: Final = "metered, but not verified with this version"


class Coverage(NamedTuple):
    """Whether the calls of an installed client library are metered; `why` if not, or not surely."""

    package: str
    version: str
    metered: bool
    why: str = ""


class Installed:
    """The distributions that one instrumentor is for, and what has been found amiss with them.

    `verified` are the versions that each has been verified with, `("openai", ">=1,<4")`. `places`
    are the modules and functions that are patched; of modules that are there in some versions only
    one must be.
    """

    def __init__(
        self, verified: Iterable[tuple[str, str]], places: Iterable[tuple[str, str]], *, meters: str
    ) -> None:
        self._verified = dict(verified)
        self._places = list(places)
        self._meters = meters
        self._missing: dict[str, list[str]] = {}

    def check(self) -> None:
        """Reports what is amiss that can be told before the library is imported."""
        for package, verified in self._verified.items():
            installed = installed_version(package)
            if installed is None:
                continue
            modules = {module for module, _ in self._places if _is_of(module, package)}
            if not any(map(exists, modules)):
                self.lacks(package, " and ".join(sorted(modules)))
            elif not SpecifierSet(verified).contains(installed, prereleases=True):
                _logger.warning(
                    "%s %s is installed; spanmeter %s has been verified with %s%s. Its calls are "
                    "metered as those of the versions known: compare a few of them with the "
                    "provider's bill, or install a version within that range or a newer spanmeter",
                    package,
                    installed,
                    self._meters,
                    package,
                    verified,
                )

    def lacks(self, module: str, place: str) -> None:
        """Reports that what is to be patched is not there, once for each library."""
        package = next((name for name in self._verified if _is_of(module, name)), module)
        missing = self._missing.setdefault(package, [])
        missing.append(place)
        if len(missing) == 1:
            _logger.error(
                "%s %s is installed, and has no %s: calls through it are NOT METERED. Install %s%s, "
                "or a newer spanmeter",
                package,
                installed_version(package) or "",
                place,
                package,
                self._verified.get(package, ""),
            )

    def coverage(self, *, on: bool) -> list[Coverage]:
        """What there is to say of each distribution that is installed."""
        return [
            self._coverage(package, installed, verified, on=on)
            for package, verified in self._verified.items()
            if (installed := installed_version(package)) is not None
        ]

    def _coverage(self, package: str, installed: str, verified: str, *, on: bool) -> Coverage:
        if package in self._missing:
            why = f"it has no {', '.join(self._missing[package])}"
            return Coverage(package, installed, metered=False, why=why)
        if not on:
            return Coverage(package, installed, metered=False, why="instrument() was not called")
        known = SpecifierSet(verified).contains(installed, prereleases=True)
        why = "" if known else f"{NOT_VERIFIED}, only with {verified}"
        return Coverage(package, installed, metered=True, why=why)


def installed_version(package: str) -> str | None:
    """The version of an installed distribution; none where its module is gone and the metadata is
    not, since what cannot be imported is not called."""
    try:
        return version(package) if exists(_module_of(package)) else None
    except PackageNotFoundError:
        return None


def exists(module: str) -> bool:
    """Whether a module can be imported, without importing it or the packages that it is in."""
    package, *parts = module.split(".")
    try:
        # Of a name without dots this imports nothing; of one with dots, all but its last part.
        spec = find_spec(package)
    except ValueError:
        return False  # a module without a spec was made by hand, as tests do, in the other's stead
    if spec is None or not parts:
        return spec is not None
    places = [Path(folder, *parts) for folder in spec.submodule_search_locations or ()]
    return any(
        place.is_dir() or any(place.with_name(place.name + end).is_file() for end in all_suffixes())
        for place in places
    )


def _is_of(module: str, package: str) -> bool:
    """Whether a module is of a distribution, which is named by the module or as `google-genai`."""
    name = _module_of(package)
    return module in {package, name} or module.startswith(f"{name}.")


def _module_of(package: str) -> str:
    """The module that a distribution is named for: `google.genai` of `google-genai`."""
    return package.replace("-", ".")
