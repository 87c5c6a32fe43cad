"""`pip install spanmeter` is the app side: it brings neither grpcio nor psycopg, and says so."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def base_install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a virtual environment that holds the base install of this checkout."""
    environment = tmp_path_factory.mktemp("base")
    venv.create(environment, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    chosen = ["--quiet", "--constraint", str(ROOT / "constraints.txt"), str(ROOT)]
    subprocess.run([*pip, "install", *chosen], check=True)
    return environment / "bin"


def test_the_base_install_brings_neither_grpcio_nor_psycopg(base_install: Path) -> None:
    program = "from importlib.metadata import distributions as d; print(*(i.name for i in d()))"
    listed = subprocess.run(
        [base_install / "python", "-c", program], capture_output=True, text=True, check=True
    )
    names = {name.lower() for name in listed.stdout.split()}
    assert "spanmeter" in names
    assert not {name for name in names if "grpc" in name or "psycopg" in name or "postgres" in name}


@pytest.mark.parametrize(
    ("arguments", "what", "extras"),
    [
        ("up", "spanmeter up", "collector,embedded"),
        ("up --dsn postgresql:///usage", "spanmeter up", "collector"),
        ("collector", "spanmeter collector", "collector"),
        ("db status", "spanmeter db", "collector"),
        ("report", "spanmeter report", "collector"),
        ("demo", "spanmeter demo", "collector,embedded,otlp-grpc,demo"),
    ],
)
def test_a_command_says_in_one_sentence_which_extra_to_install(
    base_install: Path, tmp_path: Path, arguments: str, what: str, extras: str
) -> None:
    refused = subprocess.run(
        [base_install / "spanmeter", *arguments.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    sentence = f"{what} is not in the base install: pip install 'spanmeter[{extras}]'"
    assert refused.stderr == f"Error: {sentence}\n"


def test_help_lists_every_command_in_the_base_install(base_install: Path) -> None:
    shown = subprocess.run(
        [base_install / "spanmeter", "--help"], capture_output=True, text=True, check=True
    )
    assert {"up", "collector", "db", "report", "demo", "doctor", "lint"} <= set(
        shown.stdout.split()
    )


def test_what_runs_beside_the_application_works_in_the_base_install(
    base_install: Path, tmp_path: Path
) -> None:
    (tmp_path / "application.py").write_text("import openai\nopenai.OpenAI().responses.create()\n")
    linted = subprocess.run(
        [base_install / "spanmeter", "lint", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 1
    assert "application.py:2:1: no usage context covers" in linted.stdout
    examined = subprocess.run(
        [base_install / "spanmeter", "doctor"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "none that spanmeter meters is installed here" in examined.stdout
