"""Every block of the documentation runs, on real parts, or says beside it why it does not."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tomllib
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import click
import fastapi
import openai
import psycopg
import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from booking import query
from consoles import serving
from documentation.snippets import DOCS, Block, blocks, command_lines
from keys import make_key
from simulated_provider import SimulatedProvider
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.console.cli import main
from spanmeter.console.web.settings import ConsoleSettings
from spanmeter.instrumentation import UsageContext, uninstrument, usage

pytestmark = pytest.mark.timeout(300)

PAGES: Final = sorted(page for page in DOCS.glob("*.md") if page.name != "tutorial.md")
"""The tutorial is followed by a test of its own."""

PROJECT: Final = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]

SHOWN: Final = {"html", "js", "json", "promql", "yaml", ""}
"""What is shown, and nothing that anybody runs."""

SERVING: Final = {"up", "console", "demo", "alerts run", "spool flush"}
"""Commands that serve until they are stopped, or do more than a page is about: other tests run them. Here their flags
are read."""

FAILING: Final = {"lint", "doctor"}
"""Commands whose exit code tells what they found."""

FILES: Final[Mapping[str, str]] = {
    "alerts.md": "alerts.toml",
    "budgets.md": "budgets.toml",
    "exports.md": "exports.toml",
    "plans.md": "pro.toml",
    "rates.md": "rates.toml",
    "rules.md": "rules.toml",
    "settings.md": "spanmeter.toml",
}
"""What the TOML of a page is saved as."""

CHECKS: Final[Mapping[str, str]] = {
    "budgets.toml": "budget apply budgets.toml --dry-run",
    "exports.toml": "export status",
    "pro.toml": "plan set pro.toml --from 2020-01-01",
    "rates.toml": "rates import rates.toml",
    "rules.toml": "rules check rules.toml",
    "spanmeter.toml": "--config spanmeter.toml db status",
}
"""The command that takes such a file, run as soon as there is one."""

_DSN: Final = "postgresql://spanmeter@db.internal:5432/usage"

MESSAGES: Final = [{"role": "user", "content": "Summarise our last quarter, please."}]


class Reader:
    """Follows a page, block by block, in a directory and with a ledger of its own."""

    def __init__(self, ledger: str, provider: SimulatedProvider, running: ExitStack) -> None:
        self._ledger = ledger
        self._provider = provider
        self._running = running
        self._environ = {"SPANMETER_DSN": ledger, "DSN": ledger}
        self._names: dict[str, Any] = {}

    def follow(self, block: Block) -> None:
        if block.language == "sql":
            with psycopg.connect(self._ledger) as connection:
                connection.execute(block.text.encode())
        elif block.language == "toml":
            if (name := self.save(block)) in CHECKS:
                self._spanmeter(CHECKS[name].split())
        elif block.language == "python":
            self._run_python(block)
        elif block.language in {"sh", "console"}:
            for words in command_lines(block):
                self._run(words)
        else:
            assert block.language in SHOWN, block

    def save(self, block: Block) -> str:
        """Save a file that the page shows; its name."""
        name = FILES[block.page]
        text = block.text.replace(_DSN, self._ledger)
        if name == "pro.toml" and "plan =" not in text:
            # A part of a plan, to be put into one.
            text = f'plan = "part"\ncurrency = "USD"\n{text}'
        Path(name).write_text(text)
        return name

    def _run(self, words: list[str]) -> None:
        program, *arguments = words
        if program == "spanmeter":
            self._spanmeter(arguments)
        elif program == "export":
            self._environ |= dict(each.split("=", 1) for each in arguments)
        elif program == "pip":
            assert arguments[0] == "install"
            for each in arguments[1:]:
                _installable(each)
        elif program == "curl":
            self._curl(arguments)
        elif words[:2] == ["opentelemetry-instrument", "spanmeter"]:
            scripts = Path(sys.executable).parent
            done = subprocess.run([scripts / words[0], scripts / words[1], *words[2:]], check=False)
            assert done.returncode in {0, 1}
        else:
            raise AssertionError(f"say why it is not run: {words}")

    def _spanmeter(self, arguments: list[str]) -> None:
        target = None
        if ">" in arguments:
            target = Path(arguments.pop())
            arguments.pop()
        filled = [self._filled(each) for each in arguments]
        if filled[:2] == ["statement", "close"]:
            over = _months_over()
            filled = [over.get(each, each) for each in filled]
        if (name := _name_of(filled)) in SERVING:
            _parse(filled)
            return
        done = CliRunner().invoke(main, filled, env=self._environ)
        assert done.exit_code in ({0, 1} if name in FAILING else {0}), (filled, done.output)
        if target is not None:
            target.write_text(done.stdout)

    def _filled(self, argument: str) -> str:
        """With what stands for something else replaced by that."""
        known = {"DSN": self._ledger, "$DSN": self._ledger, "EVENT": f"{0:032x}:{1:016x}"}
        if argument == "paid.csv":
            Path(argument).write_text("tenant,period,amount,currency\nacme,2026-11,10,USD\n")
        return known.get(argument, argument)

    def _curl(self, arguments: list[str]) -> None:
        console = self._running.enter_context(serving(ConsoleSettings(dsn=self._ledger)))
        key = make_key(self._ledger, scopes=("ingest", "read")).token
        told = [
            each.replace("http://127.0.0.1:4319", console)
            .replace("$SPANMETER_KEY", key)
            .replace("smk_...", key)
            for each in arguments
        ]
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--fail-with-body", "--noproxy", "*", *told],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _run_python(self, block: Block) -> None:
        text = block.text
        if "127.0.0.1:4317" in text:
            settings = CollectorSettings(dsn=self._ledger, grpc="127.0.0.1:0")
            collector = self._running.enter_context(Collector(settings))
            text = text.replace("127.0.0.1:4317", collector.grpc_address)
        self._names = self._names or self._around()
        exec(compile(text, str(block), "exec"), self._names)  # noqa: S102 (our own pages)

    def _around(self) -> dict[str, Any]:
        """What a program around the snippets has: clients, an app, a queue, functions of its own."""
        url, key = self._provider.openai_base_url, "any"
        client = self._running.enter_context(openai.OpenAI(base_url=url, api_key=key))
        pool = self._running.enter_context(ThreadPoolExecutor(1))
        headers: dict[str, str] = {}
        outbox: queue.Queue[object] = queue.Queue()
        return {
            "app": fastapi.FastAPI(),
            "application": _application,
            "client": client,
            "llm": openai.AsyncOpenAI(base_url=url, api_key=key),
            "messages": MESSAGES,
            "usage": usage,
            "tenant_of": _tenant_of,
            "account_of": _account_of,
            "is_ours": bool,
            "jobs": outbox,
            "broker": SimpleNamespace(publish=_publish),
            "message": SimpleNamespace(headers=headers),
            "headers": headers,
            "body": b"",
            "text": "a text",
            "pool": pool,
            "item": 1,
            "work": str,
            "handle": str,
            "summarize": str,
        }


def _application(environ: Mapping[str, object], start: object) -> list[bytes]:
    return []


def _tenant_of(request: object) -> UsageContext:
    return UsageContext(tenant_id="acme")


def _account_of(scope: object) -> str:
    return "acme"


def _publish(body: bytes, headers: Mapping[str, str]) -> None:
    assert "tenant.id=acme" in headers.get("baggage", "tenant.id=acme")


def _months_over() -> Mapping[str, str]:
    """For the months of the pages, months that are over whenever this is run."""
    last = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    before = last.replace(day=1) - timedelta(days=1)
    return {"2026-11": f"{last:%Y-%m}", "2026-10": f"{before:%Y-%m}"}


def _name_of(arguments: list[str]) -> str:
    words = [each for each in arguments if not each.startswith("-")]
    two = " ".join(words[:2])
    return two if two in SERVING else words[0]


def _parse(arguments: list[str]) -> None:
    """Read the flags and run nothing. Raises click's errors."""
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        inner = command.get_command(context, arguments.pop(0))
        assert inner is not None
        command = inner
    command.make_context(command.name, arguments)


def _installable(requirement: str) -> None:
    """A package that is brought in has the extras that it is asked for."""
    if requirement.startswith("-"):
        return
    wanted = Requirement(requirement)
    if wanted.name == "spanmeter":
        assert wanted.extras <= PROJECT["optional-dependencies"].keys()


@pytest.fixture
def dsn(timescale_dsn: str) -> str:
    return timescale_dsn


@pytest.fixture
def reader(ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Reader]:
    """Somebody in an empty directory, with a ledger that has a month of three tenants."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPANMETER_JOURNAL", str(tmp_path / "journal"))
    for name in [each for each in os.environ if each.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    Path("src").mkdir()
    Path("src/app.py").write_text("import openai\nopenai.OpenAI().models.list()\n")
    try:
        with ExitStack() as running, SimulatedProvider() as provider:
            yield Reader(ledger, provider, running)
    finally:
        uninstrument()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_can_be_followed(page: Path, reader: Reader) -> None:
    found = blocks(page)
    for block in reversed(found):
        # What a page shows further down may be what its first commands read.
        if block.language == "toml":
            reader.save(block)
    assert len(found) == page.read_text().count("\n```") // 2
    for block in found:
        if block.reason is None:
            try:
                reader.follow(block)
            except Exception as error:
                raise AssertionError(f"{block} cannot be followed") from error
        else:
            assert len(block.reason.split()) >= 3, block


def test_an_evaluation_of_the_page_is_kept(reader: Reader, ledger: str) -> None:
    for block in blocks(DOCS / "quality.md"):
        reader.follow(block)
    assert query(ledger, "SELECT name, count(*) FROM evaluations GROUP BY 1") == [("relevance", 2)]
