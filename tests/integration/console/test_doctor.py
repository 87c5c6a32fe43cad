"""`spanmeter doctor` in an environment as it is, against a real collector and against none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spanmeter.collector_receiver import Collector, CollectorSettings

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent


def doctor(tmp_path: Path, *before: str, **variables: str) -> tuple[int, dict[str, dict[str, str]]]:
    """What it finds, by subject, and its exit code."""
    environment = {
        **os.environ,
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "SPANMETER_SPOOL": str(tmp_path),
        **variables,
    }
    ran = subprocess.run(
        [*before, BIN / "spanmeter", "doctor", "--format", "json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode, {row["subject"]: row for row in json.loads(ran.stdout)["rows"]}


def test_all_is_well(timescale_dsn: str, tmp_path: Path) -> None:
    with Collector(CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0")) as collector:
        code, found = doctor(
            tmp_path,
            str(BIN / "opentelemetry-instrument"),
            SPANMETER_ENDPOINT=f"http://{collector.grpc_address}",
            SPANMETER_PROTOCOL="grpc",
        )
    assert [row for row in found.values() if row["level"] == "problem"] == []
    assert code == 0
    assert found["metering"]["what"] == "switched on by opentelemetry-instrument"
    assert found["answer"]["what"] == "the collector accepts records"
    (openai,) = [row for subject, row in found.items() if subject.startswith("openai ")]
    assert openai["what"] == "metered"


def test_what_is_wrong_is_said_and_the_exit_code_is_1(tmp_path: Path) -> None:
    code, found = doctor(
        tmp_path,
        SPANMETER_ENDPOINT="http://127.0.0.1:9",
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="spanmeter-openai,spanmeter-bedrock",
    )
    assert code == 1
    problems = {
        subject.partition(" ")[0] for subject, row in found.items() if row["level"] == "problem"
    }
    assert problems == {"openai", "botocore", "aiobotocore", "baggage", "answer"}
    assert "opentelemetry-instrument" in found["metering"]["to_do"]
