"""A connection to the collector: TLS, and through the proxy that the environment names."""

import http.client
import ssl
from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit

# Of the environment alone: asking macOS for its settings is not safe after a fork.
from urllib.request import getproxies_environment, proxy_bypass

from spanmeter.instrumentation.pipeline.destination import Destination


def connection(
    destination: Destination, *, alpn: str, proxy: SplitResult | None, tunnel: bool
) -> http.client.HTTPConnection:
    """A connection that is not open yet. Raises `OSError` where a certificate cannot be read.

    With `tunnel` the proxy passes bytes on; without, it is asked to send requests itself.
    """
    host, port = destination.host, destination.port
    if proxy is not None:
        host, port = proxy.hostname or "", proxy.port or 8080
    if destination.secure:
        made: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=destination.timeout, context=_tls(destination, alpn)
        )
    else:
        made = http.client.HTTPConnection(host, port, timeout=destination.timeout)
    if proxy is not None and tunnel:
        made.set_tunnel(destination.host, destination.port, headers=proxy_authorization(proxy))
    return made


def proxy_for(destination: Destination) -> SplitResult | None:
    """The proxy that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name for it."""
    proxies = getproxies_environment()
    url = proxies.get("https" if destination.secure else "http") or proxies.get("all")
    if not url or proxy_bypass(f"{destination.host}:{destination.port}"):
        return None
    proxy = urlsplit(url if "//" in url else f"//{url}")
    return proxy if proxy.hostname else None


def proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    """The headers by which the proxy knows us."""
    if proxy.username is None:
        return {}
    account = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(account.encode()).decode()}"}


def _tls(destination: Destination, alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=destination.certificate)
    context.set_alpn_protocols([alpn])
    if destination.client_certificate:
        context.load_cert_chain(destination.client_certificate, destination.client_key)
    return context
