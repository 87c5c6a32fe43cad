"""What is compiled is made where it can be, used where it fits, and missed by nobody where it is not."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[3]
SOURCES = sorted(path for path in REPOSITORY.glob("*/spanmeter/**/_*.c"))
SOURCE = SOURCES[0]
WAYS = (
    "decode.DECODER",
    "copying.PACKER",
    "row_templates.COMPILED",
)


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """The build hook as a module."""
    spec = importlib.util.spec_from_file_location("hatch_build", REPOSITORY / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_use(*statements: str, **environ: str) -> str:
    """What a process of this environment prints after these statements and the import."""
    code = "; ".join(
        [
            *statements,
            "from spanmeter.collector_receiver import decode",
            "from spanmeter.metering import row_templates",
            "from spanmeter.storage import copying",
            f"print({', '.join(WAYS)})",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip() + done.stderr.strip()


def test_everything_in_c_is_built(hook: ModuleType) -> None:
    assert sorted(REPOSITORY / source for source in hook.SOURCES) == SOURCES


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_it_compiles_without_a_warning(hook: ModuleType, tmp_path: Path, source: Path) -> None:
    if (
        shutil.which("cc") is None
        or not (Path(sysconfig.get_path("include")) / "Python.h").exists()
    ):
        pytest.skip("no C compiler, or no Python.h")

    problem = hook.compiled(source, tmp_path / "built.abi3.so", "-Wall", "-Wextra", "-Werror")

    assert problem is None


def test_without_a_compiler_the_build_says_so_in_one_line(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", str(tmp_path / "no-such-compiler"))

    problem = hook.compiled(SOURCE, tmp_path / "_otlp.abi3.so")

    assert problem is not None
    assert "\n" not in problem
    assert not (tmp_path / "_otlp.abi3.so").exists()


def test_what_does_not_compile_is_gone_without_too(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "false")

    assert hook.compiled(SOURCE, tmp_path / "_otlp.abi3.so") is not None


def test_python_can_be_asked_for() -> None:
    assert in_use(SPANMETER_PURE_PYTHON="1") == "python psycopg False"


def test_without_the_modules_python_does_the_same() -> None:
    hidden = [
        f"sys.modules['spanmeter.{name}'] = None"
        for name in ("collector_receiver._otlp", "metering._row_templates", "storage._copying")
    ]

    assert in_use("import sys", *hidden, SPANMETER_PURE_PYTHON="0") == "python psycopg False"


def test_a_module_of_another_version_is_not_used_and_that_is_said() -> None:
    other = (
        "import sys, types; _otlp = types.ModuleType('_otlp'); _otlp.LAYOUT = 'trace_id'; "
        "sys.modules['spanmeter.collector_receiver._otlp'] = _otlp"
    )

    said = in_use(other, SPANMETER_PURE_PYTHON="0")

    assert said.startswith("python")
    assert "install again" in said
