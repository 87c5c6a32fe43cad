"""The tutorial, step by step: its app as a process, its commands, its requests; the provider is the simulated one."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from booking import query
from consoles import serving
from documentation.snippets import DOCS, Block, blocks, command_lines
from simulated_provider import SimulatedProvider
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.console.web.settings import ConsoleSettings

pytestmark = pytest.mark.timeout(300)

Run = Callable[..., subprocess.CompletedProcess[str]]

APP = "opentelemetry-instrument uvicorn app:app --port 8000"


def steps() -> Mapping[str, list[Block]]:
    """The blocks of the tutorial by the number of their step."""
    text = (DOCS / "tutorial.md").read_text()
    heads = [text.count("\n", 0, at.start()) for at in re.finditer(r"^## ", text, re.MULTILINE)]
    found: dict[str, list[Block]] = {}
    for block in blocks(DOCS / "tutorial.md"):
        found.setdefault(str(sum(line < block.line for line in heads)), []).append(block)
    return found


@contextmanager
def running_app(directory: Path, environ: Mapping[str, str]) -> Generator[str]:
    """The app of the tutorial as its page starts it, but on a free port; its address."""
    program, server, *arguments = APP.replace("8000", "0").split()
    scripts = Path(sys.executable).parent
    with (
        (directory / "app.log").open("w+") as log,
        subprocess.Popen(
            [scripts / program, scripts / server, *arguments],
            cwd=directory,
            env=dict(environ),
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield _address(directory / "app.log", process)
        finally:
            process.terminate()
            process.wait(60)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 60
    while (found := re.search(r"running on (http://\S+)", log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[1]


def test_the_tutorial_can_be_followed(
    timescale_dsn: str, tmp_path: Path, environ: dict[str, str], spanmeter: Run
) -> None:
    told = steps()
    (app,) = told["2"]
    (tmp_path / "app.py").write_text(app.text)
    start, requests = told["3"]
    exported = [words[1:] for words in command_lines(start) if words[0] == "export"]
    assert [words for words in command_lines(start) if words[0] != "export"] == [APP.split()]
    with (
        SimulatedProvider() as provider,
        Collector(CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0")) as collector,
    ):
        settings = dict(each.split("=", 1) for words in exported for each in words)
        settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{collector.grpc_address}"
        settings |= {
            "OPENAI_BASE_URL": provider.openai_base_url,
            "OPENAI_API_KEY": "any",
            "SPANMETER_PROVIDER_HOSTS": "127.0.0.1=openai",
            "SPANMETER_SPOOL": str(tmp_path / "spool"),
        }
        with running_app(tmp_path, environ | settings) as url:
            calls = [_request(words, url) for words in command_lines(requests)]
            assert [call().status_code for call in calls] == [200, 200]
            _wait_for(lambda: len(query(timescale_dsn, "SELECT 1 FROM usage_events")) == 2)
            _follow(told["4"], timescale_dsn, spanmeter)
            tighten, raise_ = told["5"]
            _follow([tighten], timescale_dsn, spanmeter)
            _wait_for(lambda: calls[0]().status_code == 402)
            assert calls[1]().status_code == 200
            _follow([raise_], timescale_dsn, spanmeter)
            _wait_for(lambda: calls[0]().status_code == 200)
    plan, bill = told["6"]
    (tmp_path / "pro.toml").write_text(plan.text)
    assert re.search(r"summary.made|summaries", _follow([bill], timescale_dsn, spanmeter))
    embed, frame = told["7"]
    token = _follow([embed], timescale_dsn, spanmeter).split()[-1]
    (path,) = re.findall(r'src="http://127.0.0.1:4319([^"]+)"', frame.text)
    with serving(ConsoleSettings(dsn=timescale_dsn)) as console:
        page = httpx.get(console + path.replace("TOKEN", token), trust_env=False, timeout=60)
    assert page.status_code == 200
    assert "summary.made" in page.text


def _follow(found: list[Block], dsn: str, spanmeter: Run) -> str:
    """What the commands print, and the queries give."""
    printed = ""
    for block in found:
        if block.language == "sql":
            printed += repr(query(dsn, block.text))
            continue
        for program, *arguments in command_lines(block):
            assert program == "spanmeter"
            done = spanmeter(*arguments, SPANMETER_DSN=dsn)
            assert done.returncode == 0, (arguments, done.stderr)
            printed += done.stdout
    return printed


def _request(words: list[str], url: str) -> Callable[[], httpx.Response]:
    """The request that a line with curl makes, of the app that runs."""
    assert words[:4] == ["curl", "-X", "POST", "-H"]
    name, _, value = words[4].partition(": ")
    address = words[5].replace("http://127.0.0.1:8000", url)
    return lambda: httpx.post(address, headers={name: value}, trust_env=False, timeout=60)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
