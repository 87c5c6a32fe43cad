"""Transport security for both ports: who the collector is, and whose certificates its senders have to show."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc


class UnusableCertificate(ValueError):
    """A certificate, key or authority cannot be used. The text names the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files. With `client_authority`, only senders with a certificate that it signed are let in."""

    certificate: Path
    key: Path
    client_authority: Path | None = None

    def context(self) -> ssl.SSLContext:
        """For HTTP. TLS 1.2 at least, as gRPC's own default. Raises `UnusableCertificate`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise UnusableCertificate(f"{self.certificate} with key {self.key}: {error}") from error
        if self.client_authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self.client_authority)
            except (OSError, ssl.SSLError) as error:
                raise UnusableCertificate(f"{self.client_authority}: {error}") from error
        return context

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC, which takes bad files without a word and then refuses every connection: so they are tried first.
        Raises `UnusableCertificate`."""
        self.context()
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        if self.client_authority is None:
            return grpc.ssl_server_credentials([pair])
        return grpc.ssl_server_credentials(
            [pair],
            root_certificates=self.client_authority.read_bytes(),
            require_client_auth=True,
        )


def _no_password() -> str:
    """Asked for where a key is encrypted. OpenSSL would ask at the terminal."""
    raise ValueError("the key is encrypted; give one that is not")
