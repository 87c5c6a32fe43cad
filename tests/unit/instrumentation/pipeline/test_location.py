"""Where the spool lies when nobody says, and who else may touch it."""

from __future__ import annotations

import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spanmeter.instrumentation.pipeline import location
from spanmeter.instrumentation.pipeline.location import (
    NoSpool,
    hashing_key,
    origin_directory,
    usual_directory,
)
from spanmeter.instrumentation.pipeline.origin import Origin


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_state_directory_of_the_user(tmp_path: Path) -> None:
    state, home = str(tmp_path / "state"), str(tmp_path)
    environ = {"XDG_STATE_HOME": state, "HOME": home}
    assert usual_directory(environ) == tmp_path / "state/spanmeter/spool"
    del environ["XDG_STATE_HOME"]
    assert usual_directory(environ) == tmp_path / ".local/state/spanmeter/spool"
    assert mode(usual_directory(environ)) == 0o700


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service without a home, whose system has no place for it; the temporary directory."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(location, "SYSTEM", tmp_path / "file" / "spool")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_service_without_a_home(no_home: Path) -> None:
    found = usual_directory({"HOME": "/"})
    assert found == no_home / f"spanmeter-{os.getuid()}" / "spool"
    assert mode(found) == mode(found.parent) == 0o700


@pytest.mark.parametrize("planted", ["link", "file"])
def test_what_another_has_planted_is_not_used(no_home: Path, planted: str) -> None:
    ours = no_home / f"spanmeter-{os.getuid()}"
    if planted == "link":
        (no_home / "elsewhere").mkdir()
        ours.symlink_to(no_home / "elsewhere")
    else:
        ours.touch()
    with pytest.raises(NoSpool):
        usual_directory({"HOME": "/"})


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_not_used(no_home: Path) -> None:
    ours = no_home / f"spanmeter-{os.getuid()}"
    ours.mkdir()
    os.chown(ours, os.getuid() + 1, -1)
    with pytest.raises(NoSpool, match="another user"):
        usual_directory({"HOME": "/"})


def directory_of(base: Path, service: str) -> Path:
    origin = Origin.of({"service.name": service}, "no destination", hashing_key(base))
    return origin_directory(base, origin)


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("answers", "answers"),
        ("unknown_service:python", "unknown_service:python"),
        ("../../etc", "_.._etc"),
        ("", "unknown_service"),
        ("..", "unknown_service"),
        ("a/b c\0é", "a_b_c__"),
        ("x" * 500, "x" * 128),
    ],
)
def test_a_service_has_a_directory_of_its_own(tmp_path: Path, service: str, name: str) -> None:
    directory = directory_of(tmp_path / "spool", service)
    assert directory.parent == tmp_path / "spool"
    assert directory.name.rpartition("-")[0] == name
    assert mode(directory) == 0o700
    assert directory == directory_of(tmp_path / "spool", service)
    assert directory != directory_of(tmp_path / "spool", service + "?")


def test_a_directory_that_all_could_read_is_closed(tmp_path: Path) -> None:
    directory_of(tmp_path, "answers").chmod(0o755)
    assert mode(directory_of(tmp_path, "answers")) == 0o700


def test_what_origins_are_hashed_with_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        keys = set(threads.map(hashing_key, [tmp_path / "spool"] * 64))
    assert len(keys) == 1
    (path,) = (tmp_path / "spool").iterdir()
    assert mode(path) == 0o600
    path.write_bytes(b"torn")
    assert len(hashing_key(tmp_path / "spool")) == 32
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        hashing_key(tmp_path / "spool")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_not_used(tmp_path: Path) -> None:
    hashing_key(tmp_path)
    os.chown(tmp_path / f".key-{os.getuid()}", os.getuid() + 1, -1)
    with pytest.raises(NoSpool, match="another user"):
        hashing_key(tmp_path)
