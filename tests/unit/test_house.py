"""The house stands as designed: five roots, one namespace, imports one way, a light base."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[2]
ROOTS = ("instrumentation", "metering", "storage", "collector_receiver", "console")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())

# Contract, root that breaks it, and the import that does.
OFFENCES = [
    ("Imports go console, collector_receiver, storage, metering", "metering", "spanmeter.storage"),
    (
        "Imports go console, collector_receiver, storage, metering",
        "storage",
        "spanmeter.collector_receiver",
    ),
    (
        "Imports go console, collector_receiver, storage, metering",
        "collector_receiver",
        "spanmeter.console",
    ),
    (
        "The app side knows of ours only metering.attributes",
        "instrumentation",
        "spanmeter.metering.usage_event",
    ),
    (
        "The app side knows of ours only metering.attributes",
        "instrumentation",
        "spanmeter.storage",
    ),
    ("The app side needs neither grpc, psycopg nor prices", "instrumentation", "genai_prices"),
    ("The app side needs neither grpc, psycopg nor prices", "instrumentation", "grpc"),
    ("The app side needs neither grpc, psycopg nor prices", "instrumentation", "psycopg"),
    ("Nobody imports the app side", "console", "spanmeter.instrumentation"),
    ("metering does no I/O", "metering", "psycopg"),
    ("metering does no I/O", "metering", "opentelemetry.trace"),
    ("metering does no I/O", "metering", "socket"),
    ("storage knows no transport", "storage", "grpc"),
    ("storage knows no transport", "storage", "opentelemetry.proto"),
]


@pytest.fixture
def copy_of_roots(tmp_path: Path) -> Path:
    """The five roots and pyproject.toml in a directory where a test may do harm."""
    for root in ROOTS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / root, tmp_path / root, ignore=ignore)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(directory: Path) -> set[str]:
    """The import contracts that do not hold for the roots in *directory*."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=directory,
        env={"PYTHONPATH": ":".join(str(directory / root) for root in ROOTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    broken = set(re.findall(r"^(.+) BROKEN", done.stdout, re.MULTILINE))
    assert bool(broken) == (done.returncode != 0), done.stdout
    return broken


def test_every_contract_holds(copy_of_roots: Path) -> None:
    assert broken_contracts(copy_of_roots) == set()


@pytest.mark.parametrize(("contract", "root", "module"), OFFENCES)
def test_an_offending_import_is_reported(
    copy_of_roots: Path, contract: str, root: str, module: str
) -> None:
    planted = copy_of_roots / root / "spanmeter" / root / "planted.py"
    planted.write_text(f"import {module}\n")
    assert contract in broken_contracts(copy_of_roots)


def test_every_contract_is_broken_once() -> None:
    contracts = {contract["name"] for contract in PROJECT["tool"]["importlinter"]["contracts"]}
    assert contracts == {contract for contract, _, _ in OFFENCES}


def test_the_app_side_may_import_attributes(copy_of_roots: Path) -> None:
    """The one exception to the contract is really excepted."""
    planted = copy_of_roots / "instrumentation" / "spanmeter" / "instrumentation" / "planted.py"
    planted.write_text("from spanmeter.metering import attributes\n")
    assert broken_contracts(copy_of_roots) == set()


def test_the_namespace_belongs_to_nobody() -> None:
    """One `spanmeter/__init__.py` would hide the other four roots, and mypy would not say so."""
    spec = find_spec("spanmeter")
    assert spec is not None
    assert spec.origin is None


@pytest.mark.parametrize("root", ROOTS)
def test_a_root_is_installed_from_its_folder(root: str) -> None:
    """An editable install that lists too few folders loses roots without a word."""
    spec = find_spec(f"spanmeter.{root}")
    assert spec is not None
    assert spec.origin == str(REPOSITORY / root / "spanmeter" / root / "__init__.py")


@pytest.fixture(params=["checkout", "sdist"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What a wheel is built from: this checkout, or the source distribution made of it."""
    if request.param == "checkout":
        return REPOSITORY
    build("sdist", REPOSITORY, tmp_path)
    (sdist,) = tmp_path.glob("*.tar.gz")
    # Not tarfile: before 3.11.4 it has no filters, from 3.12 on it warns without one.
    subprocess.run(["tar", "--extract", "--file", sdist], cwd=tmp_path, check=True)
    return tmp_path / sdist.name.removesuffix(".tar.gz")


def build(target: str, source: Path, into: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target]
    subprocess.run([*command, "--directory", into], cwd=source, check=True)


def test_the_wheel_holds_every_file(source: Path, tmp_path: Path) -> None:
    """Code, SQL and type markers of all roots, the examples, and nothing beside them."""
    build("wheel", source, tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    places = {root: Path() for root in ROOTS} | {"examples": Path("spanmeter/examples")}
    assert packed == {
        (place / file.relative_to(REPOSITORY / root)).as_posix()
        for root, place in places.items()
        for file in (REPOSITORY / root).rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert {f"spanmeter/{root}/py.typed" for root in ROOTS} <= packed


def test_the_base_install_pulls_neither_grpc_nor_psycopg() -> None:
    """Everything that `pip install spanmeter` brings, by the installed metadata."""
    brought: set[str] = set()
    waiting = ["spanmeter"]
    while waiting:
        name = waiting.pop()
        if name in brought:
            continue
        brought.add(name)
        for line in distribution(name).requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    assert "opentelemetry-sdk" in brought
    assert not {name for name in brought if re.match(r"grpc|psycopg|genai|openai|anthropic", name)}


def test_importing_the_app_side_loads_no_receiver() -> None:
    """Nothing of a collector's extra is imported, whatever is installed beside it."""
    code = "import sys, spanmeter.instrumentation; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "spanmeter.instrumentation" in loaded
    assert not {"grpc", "psycopg", "genai_prices", "spanmeter.storage"} & set(loaded)


def test_entry_points_load() -> None:
    """What `opentelemetry-instrument` and the shell look up by name is there."""
    scripts = entry_points(group="console_scripts", name="spanmeter")
    instrumentors = [
        entry_point
        for entry_point in entry_points(group="opentelemetry_instrumentor")
        if entry_point.name.startswith("spanmeter-")
    ]
    assert len(instrumentors) >= 2
    commands = entry_points(group="spanmeter.commands")
    for entry_point in [*scripts, *instrumentors, *commands]:
        assert callable(entry_point.load())


def test_modules_stay_small() -> None:
    """A module has one idea: none over 350 lines, none named for what did not fit elsewhere."""
    modules = [module for root in (*ROOTS, "tests") for module in (REPOSITORY / root).rglob("*.py")]
    long = [module for module in modules if len(module.read_text().splitlines()) > 350]
    vague = [
        module for module in modules if re.search(r"utils|helpers|common|manager", module.stem)
    ]
    assert long == []
    assert vague == []
