"""The files to deploy with: valid by their own schemas, and of commands, flags and settings that there are."""

import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from spanmeter.console.cli import main

ROOT = Path(__file__).parents[3]
DEPLOYMENT = ROOT / "examples" / "deployment"
MANIFESTS = [*yaml.safe_load_all((DEPLOYMENT / "kubernetes/spanmeter.yaml").read_text())]
COMPOSE = yaml.safe_load((DEPLOYMENT / "compose/compose.yaml").read_text())


def containers() -> Generator[tuple[str, list[str], Mapping[str, Any]]]:
    """What runs our image: its name, the arguments, and the environment."""
    for name, service in COMPOSE["services"].items():
        if service["image"] == "spanmeter":
            yield f"compose {name}", service["command"], service["environment"]
    for manifest in MANIFESTS:
        template = manifest["spec"].get("template", {"spec": {"containers": []}})
        for each in template["spec"]["containers"]:
            yield (
                f"kubernetes {each['name']}",
                each["args"],
                {one["name"]: one for one in each["env"]},
            )


def checked(checker: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What a checker of files says."""
    program = Path(sys.executable).with_name(checker)
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_the_manifests_are_valid() -> None:
    done = checked("kubernetes-validate", "--strict", DEPLOYMENT / "kubernetes/spanmeter.yaml")
    assert done.returncode == 0, done.stdout


def test_a_manifest_with_a_wrong_field_is_found(tmp_path: Path) -> None:
    broken = {**MANIFESTS[0], "spec": {**MANIFESTS[0]["spec"], "backofLimit": 6}}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(broken))
    assert checked("kubernetes-validate", "--strict", tmp_path / "broken.yaml").returncode != 0


def test_the_compose_file_is_valid() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    done = checked("check-jsonschema", *schema, DEPLOYMENT / "compose/compose.yaml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "arguments", "environment"), [pytest.param(*each, id=each[0]) for each in containers()]
)
def test_what_a_container_runs_is_a_command_of_ours(
    name: str, arguments: list[str], environment: Mapping[str, Any]
) -> None:
    shown = CliRunner().invoke(main, [*arguments, "--help"])
    assert shown.exit_code == 0, shown.output
    ours = {variable for variable in environment if variable.startswith("SPANMETER_")}
    assert ours
    assert ours <= set(re.findall(r"SPANMETER_\w+", shown.output))


def test_the_probes_and_the_metrics_are_paths_that_the_receiver_serves() -> None:
    told = (ROOT / "docs/operating.md").read_text()
    named = re.findall(r"path: (/\w+)", (DEPLOYMENT / "kubernetes/spanmeter.yaml").read_text())
    assert set(named) == {"/healthz", "/readyz", "/metrics"}
    assert all(f"`GET {path}`" in told for path in named)


def test_no_file_holds_a_password() -> None:
    for path in DEPLOYMENT.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert not re.search(r"postgresql://\w+:[^$@{]", text), path
            for value in re.findall(r"(?i)password: +(.+)", text):
                assert value.startswith(("$", ":'")), path
