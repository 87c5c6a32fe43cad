"""A client library that is installed in a version that we do not know, or cannot patch, is reported
at start: aloud, and once."""

from __future__ import annotations

import importlib
import logging
import shutil
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spanmeter.instrumentation import Coverage, coverage, instrument
from spanmeter.instrumentation.installed import exists, installed_version
from spanmeter.instrumentation.instrumentor import Begin, ClientInstrumentor, Patch, Request, Tap
from unit.instrumentation.recording import Recorder

AS_KNOWN = "class Client:\n    def ask(self):\n        return 'asked'\n"


class Library:
    """A client library of a name that no other test has: what waits for an import goes on waiting."""

    _numbers = count()

    def __init__(self, directory: Path) -> None:
        self.name = f"nova{next(self._numbers)}"
        self._directory = directory

    def install(self, version: str, **modules: str) -> None:
        """Installs a version, and its modules by name."""
        package = self._directory / self.name
        package.mkdir()
        for name, code in {"__init__": "", **modules}.items():
            (package / f"{name}.py").write_text(code)
        info = self._directory / f"{self.name}-{version}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(
            f"[opentelemetry_instrumentor]\nspanmeter-{self.name} = {self.name}._client:Client\n"
        )
        metadata = f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata)
        importlib.invalidate_caches()

    def instrumentor(self, *modules: str) -> ClientInstrumentor:
        """An instrumentor of its own, since there is but one object of each class."""

        class NovaInstrumentor(ClientInstrumentor):
            package = self.name
            verified = ((self.name, ">=1.2,<3"),)
            patches = tuple(
                Patch(f"{self.name}.{module}", "Client.ask", nothing_asked) for module in modules
            )

        made: ClientInstrumentor = NovaInstrumentor()
        return made

    def imported(self, module: str) -> Any:
        """The module, imported."""
        return importlib.import_module(f"{self.name}.{module}")


@pytest.fixture
def nova(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A client library that is not installed yet."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return Library(tmp_path)


def nothing_asked(instance: Any, args: Any, kwargs: Any) -> Request | None:
    return None


def never_wrapped(begin: Begin) -> Callable[..., Any]:
    raise AssertionError


def loud(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(each.levelno, each.getMessage()) for each in caplog.records]


@pytest.mark.parametrize("version", ["1.2.0", "2.99", "2.0rc1"])
def test_a_known_version_is_metered_and_nothing_is_said(
    nova: Library, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    nova.install(version, _client=AS_KNOWN)
    instrumentor = nova.instrumentor("_client")
    assert instrumentor.coverage() == [
        Coverage(nova.name, version, metered=False, why="instrument() was not called")
    ]
    instrumentor.instrument()
    assert nova.name not in sys.modules
    assert nova.imported("_client").Client().ask() == "asked"
    assert instrumentor.coverage() == [Coverage(nova.name, version, metered=True)]
    assert loud(caplog) == []
    instrumentor.uninstrument()
    assert [each.metered for each in instrumentor.coverage()] == [False]


@pytest.mark.parametrize("version", ["1.1.9", "3.0.0", "4.1"])
def test_a_version_that_is_not_known_is_metered_and_warned_of(
    nova: Library, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    nova.install(version, _client=AS_KNOWN)
    instrumentor = nova.instrumentor("_client")
    for _ in range(2):
        instrumentor.instrument()
        instrumentor.uninstrument()
    [(level, message)] = loud(caplog)
    assert level == logging.WARNING
    assert f"{nova.name} {version} is installed" in message
    assert f"{nova.name}>=1.2,<3" in message
    instrumentor.instrument()
    [told] = instrumentor.coverage()
    assert told.metered
    assert ">=1.2,<3" in told.why


def test_a_module_that_is_gone_is_an_error_at_start(
    nova: Library, caplog: pytest.LogCaptureFixture
) -> None:
    nova.install("9.0", elsewhere=AS_KNOWN)
    instrumentor = nova.instrumentor("_client")
    for _ in range(2):
        instrumentor.instrument()
        instrumentor.uninstrument()
    [(level, message)] = loud(caplog)
    assert level == logging.ERROR
    assert f"{nova.name} 9.0 is installed, and has no {nova.name}._client" in message
    assert "NOT METERED" in message
    assert f"{nova.name}>=1.2,<3" in message
    assert instrumentor.coverage() == [
        Coverage(nova.name, "9.0", metered=False, why=f"it has no {nova.name}._client")
    ]
    assert nova.name not in sys.modules


def test_a_module_that_only_other_versions_have_is_not_missed(
    nova: Library, caplog: pytest.LogCaptureFixture
) -> None:
    nova.install("2.0", _client=AS_KNOWN)
    instrumentor = nova.instrumentor("_older", "_client", "_newer.deep")
    instrumentor.instrument()
    assert [each.metered for each in instrumentor.coverage()] == [True]
    assert loud(caplog) == []


@pytest.mark.parametrize("code", ["", "class Client: ...", "def Client(): ..."])
def test_a_function_that_is_gone_is_an_error_when_the_library_is_imported(
    nova: Library, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    nova.install("2.5", _client=code, _other=code)
    instrumentor = nova.instrumentor("_client", "_other")
    instrumentor.instrument()
    assert loud(caplog) == []
    nova.imported("_client")
    nova.imported("_other")
    [(level, message)] = loud(caplog)
    assert level == logging.ERROR
    assert f"{nova.name} 2.5 is installed, and has no {nova.name}._client.Client.ask" in message
    [told] = instrumentor.coverage()
    assert not told.metered
    assert told.why == f"it has no {nova.name}._client.Client.ask, {nova.name}._other.Client.ask"


def test_what_is_not_installed_is_not_mentioned(
    nova: Library, caplog: pytest.LogCaptureFixture
) -> None:
    instrumentor = nova.instrumentor("_client")
    instrumentor.instrument()
    assert instrumentor.coverage() == []
    assert loud(caplog) == []


@pytest.mark.parametrize("version", ["1.5", "9.0"])
@pytest.mark.parametrize("gone", ["deleted", "blocked", "replaced"])
def test_what_cannot_be_imported_is_as_good_as_not_installed(
    nova: Library,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    version: str,
    gone: str,
) -> None:
    """Its metadata may still be there, as where a deployment leaves modules out."""
    nova.install(version, _client=AS_KNOWN)
    if gone == "deleted":
        shutil.rmtree(tmp_path / nova.name)
        importlib.invalidate_caches()
    else:
        # None makes an import fail.
        instead = ModuleType(nova.name) if gone == "replaced" else None
        monkeypatch.setitem(sys.modules, nova.name, instead)
    instrumentor = nova.instrumentor("_client")
    instrumentor.instrument()
    assert loud(caplog) == []
    assert instrumentor.coverage() == []


def test_every_client_library_here_is_one_that_was_verified(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    instrument()
    found = {each.package: each for each in coverage()}
    assert found["anthropic"] == Coverage(
        "anthropic", installed_version("anthropic") or "", metered=True
    )
    for each in found.values():
        assert each.metered, each
        assert each.why == ""
    assert loud(caplog) == []


@pytest.mark.parametrize("code", ["1 / 0", "", "def Client(): 1 / 0"])
def test_an_instrumentor_that_fails_takes_no_other_along(
    nova: Library, recorder: Recorder, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    nova.install("1.5", _client=code)
    instrument()
    assert "anthropic" in {each.package for each in coverage()}
    assert [level for level, _ in loud(caplog)] == [logging.ERROR]


@pytest.mark.parametrize("module", ["deep.client", "deep"])
def test_a_package_without_an_init_is_found_without_importing_it(
    nova: Library, tmp_path: Path, module: str
) -> None:
    nova.install("1.5")
    (tmp_path / nova.name / "__init__.py").unlink()
    (tmp_path / nova.name / "deep").mkdir()
    (tmp_path / nova.name / "deep" / "client.py").touch()
    assert exists(f"{nova.name}.{module}")
    assert not exists(f"{nova.name}.{module}.er")
    assert nova.name not in sys.modules


def test_a_tap_is_left_out_where_its_class_does_not_exist(
    nova: Library, caplog: pytest.LogCaptureFixture
) -> None:
    """Versions differ in the transports that they have; every object has an `__init__`, even none."""
    nova.install("1.5", _client=AS_KNOWN)
    instrumentor = nova.instrumentor("_client")
    instrumentor.taps = [Tap(f"{nova.name}._client", "Socket.__init__", never_wrapped)]
    instrumentor.instrument()
    nova.imported("_client")
    assert loud(caplog) == []
