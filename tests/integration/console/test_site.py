"""The documentation as a site: built strictly, every page in its place, with a reference of all there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import yaml

from documentation.__main__ import DOCS, write
from documentation.reference import commands, metrics, settings
from documentation.snippets import blocks
from spanmeter.console.cli import main
from spanmeter.console.settings import Settings

CONFIGURATION = DOCS.parent / "mkdocs.yml"


def test_the_site_is_built_without_a_complaint(timescale_dsn: str, tmp_path: Path) -> None:
    """No link leads nowhere, and no page loads anything of another host."""
    write(tmp_path / "build/docs", timescale_dsn)
    (tmp_path / "mkdocs.yml").write_text(CONFIGURATION.read_text())
    zensical = Path(sys.executable).with_name("zensical")
    done = subprocess.run(
        [zensical, "build", "--strict", "--config-file", "mkdocs.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "build/site/reference/tables.html").read_text()
    for shown in ("usage_events", "evaluated_calls", "tenant_id", "cache_read_input_tokens"):
        assert shown in page
    loaded = re.findall(r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?)[^"]*)"', page)
    assert loaded == []


def test_the_reference_leaves_nothing_without_a_meaning(timescale_dsn: str, tmp_path: Path) -> None:
    write(tmp_path, timescale_dsn)
    tables = (tmp_path / "reference/tables.md").read_text()
    assert [line for line in tables.splitlines() if line.endswith("|  |")] == []
    assert "A table. \n" not in tables


def test_every_page_has_its_place() -> None:
    places = re.findall(r"([\w/-]+\.md)", CONFIGURATION.read_text().partition("\nnav:")[2])
    assert len(places) == len(set(places))
    hand_made = {place for place in places if not place.startswith("reference/")}
    assert hand_made == {page.name for page in DOCS.glob("*.md")}
    assert yaml.safe_load(CONFIGURATION.read_text())["docs_dir"] == "build/docs"


def test_the_reference_is_made_from_the_code() -> None:
    told = commands()
    for name in main.list_commands(click.Context(main)):
        assert re.search(rf"^## spanmeter {name}( |$)", told, re.MULTILINE), name
    for name in Settings.__slots__:
        assert f"`SPANMETER_{name.upper()}`" in settings()
    known = set(re.findall(r"`(spanmeter\.collector\.[\w.]+)`", metrics()))
    operating = (DOCS / "operating.md").read_text()
    for name in re.findall(r"`(spanmeter_collector_\w+)`", operating):
        assert any(name.startswith(each.replace(".", "_")) for each in known), name


def test_blocks_are_found_whole() -> None:
    for page in DOCS.glob("*.md"):
        assert len(blocks(page)) * 2 == len(re.findall(r"^```", page.read_text(), re.MULTILINE))
