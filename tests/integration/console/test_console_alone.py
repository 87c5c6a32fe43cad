"""`spanmeter console` as a process of its own: over TLS, dressed as its operator says, and with links."""

# The stubs of trustme leave types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import trustme

from commands import INSTALLED

Run = Callable[..., subprocess.CompletedProcess[str]]
ServeConsole = Callable[..., str]


@pytest.fixture
def serve_console(tmp_path: Path, environ: dict[str, str]) -> Generator[ServeConsole]:
    """Start `spanmeter console ARGUMENTS` on a free port; HOST:PORT. It ends with the test."""
    with ExitStack() as running:

        def serve_console(*arguments: str) -> str:
            log = running.enter_context((tmp_path / "console.log").open("a"))
            process = running.enter_context(
                subprocess.Popen(
                    [INSTALLED, "console", *arguments],
                    cwd=tmp_path,
                    env=environ,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
            )
            running.callback(process.terminate)
            assert process.stdout is not None
            printed = ""
            for line in process.stdout:
                printed += line
                if line.startswith("READY console="):
                    return line.removeprefix("READY console=").strip()
            raise AssertionError(printed)

        yield serve_console


def test_a_console_is_served_over_tls_and_dressed_as_the_operator_says(
    serve_console: ServeConsole, spanmeter: Run, plain_dsn: str, tmp_path: Path
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>')
    dress = ("--console-name", "Usage of <Hooli>", "--console-accent", "#E11D48")
    flags = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    address = serve_console("--dsn", plain_dsn, *flags, *dress, "--console-logo", str(logo))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    link = spanmeter("console", "--link", "--dsn", plain_dsn, *flags, "--console", address)
    token = spanmeter("keys", "embed", "acme", "--dsn", plain_dsn).stdout.split()[0]
    url = f"https://{address}"
    with httpx.Client(verify=trusting, trust_env=False, base_url=url) as browser:
        begun = browser.get(link.stdout.split()[-1])
        assert begun.headers["strict-transport-security"] == "max-age=31536000"
        assert "; secure" in begun.headers["set-cookie"].lower()
        page = browser.get("/embed", params={"token": token}).text
        assert "<h1>Usage of &lt;Hooli&gt;</h1>" in page
        assert "/embed/theme.css?accent=%23e11d48" in page
        assert 'src="/embed/logo"' in page
        shown = browser.get("/embed/logo")
        assert (shown.headers["content-type"], shown.text) == ("image/svg+xml", logo.read_text())
        assert "script-src 'self'" in shown.headers["content-security-policy"]
        assert "#e11d48" in browser.get("/embed/theme.css?accent=%23e11d48").text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz", trust_env=False)
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{address}/healthz", trust_env=False)
    none = spanmeter("console", "--dsn", plain_dsn, "--console-logo", "none.png")
    assert (none.returncode, "none.png is no file" in none.stderr) == (2, True)


def test_a_console_alone_shows_a_ledger_and_prints_links(
    serve_console: ServeConsole, spanmeter: Run, plain_dsn: str
) -> None:
    address = serve_console("--dsn", plain_dsn)
    told = spanmeter("console", "--link", "--dsn", plain_dsn, "--console", address)
    with httpx.Client(trust_env=False, timeout=60) as browser:
        assert browser.get(told.stdout.strip()).status_code == 303
    token = spanmeter("keys", "embed", "acme", "--dsn", plain_dsn, "--console", address)
    assert f"http://{address}/embed?token={token.stdout.strip()}" in token.stderr
    page = httpx.get(f"http://{address}/embed?token={token.stdout.strip()}", trust_env=False)
    assert page.status_code == 200
    seen = spanmeter("keys", "view", "acme", "--models", "--dsn", plain_dsn)
    assert seen.stdout == "acme sees its actions, requests and tokens, models\n"
    assert spanmeter("keys", "embed", "acme", "--for", "2d", "--dsn", plain_dsn).returncode == 2
    rotated = spanmeter("keys", "rotate-secret", "--overlap", "1m", "--dsn", plain_dsn)
    assert rotated.returncode == 0
